import * as z from 'zod'
import type { App } from '../context.ts'
import { Problem } from '../errors.ts'
import { html } from '../html.ts'
import { markdown } from '../parts/markdown.ts'
import { RUNBOOK_PAGES, readRunbook } from '../runbooks.ts'
import { sendPage } from './reply.ts'

const params = z.object({ page: z.enum(RUNBOOK_PAGES), anchor: z.string().regex(/^[\w-]{1,100}$/) })

/** What the documentation says of a state or an alert: it is read at the moment of need, perhaps without a network. */
export function addRunbooks(app: App): void {
  app.get('/runbooks/:page/:anchor', { schema: { hide: true, params } }, async (request, reply) => {
    const { page, anchor } = request.params
    const found = await readRunbook(page, anchor)
    if (!found) throw new Problem(404, `docs/${page}.md has no heading "${anchor}".`)
    const { heading, markdown: text } = found
    const body = html`<article class="prose"><h1>${heading}</h1>${markdown(text, page)}
<p class="soft">docs/${page}.md#${anchor}</p></article>`
    return sendPage(request, reply, { title: heading, body })
  })
}
