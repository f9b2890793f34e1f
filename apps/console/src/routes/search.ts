import { type SearchAnswer, search } from '@sluice/shared/operations'
import type { FastifyReply, FastifyRequest } from 'fastify'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { searchPage } from '../pages/search.ts'
import { pathOf } from '../parts/links.ts'
import { sendPage } from './reply.ts'

const asked = z.object({ q: z.string().max(10_000, 'is longer than 10,000 characters').default('') })

/** The box: leads to what a name names, or lists it. A long text is posted. */
export function addSearch(app: App, { stores }: ConsoleDeps): void {
  async function answer(text: string, request: FastifyRequest, reply: FastifyReply) {
    const found = await search(stores, text)
    const path = onlyPath(found)
    if (path) return reply.redirect(path, 303)
    return sendPage(request, reply, { title: 'Search', body: searchPage(text, found) })
  }

  app.get('/search', { schema: { hide: true, querystring: asked } }, (request, reply) =>
    answer(request.query.q, request, reply),
  )
  // It changes nothing, so a viewer may do it.
  app.post(
    '/search',
    { schema: { hide: true, body: asked }, config: { access: 'viewer' } },
    (request, reply) => answer(request.body.q, request, reply),
  )
}

/** The page of the only thing that was found. */
function onlyPath(answer: SearchAnswer): string | undefined {
  if (answer.kind === 'text') {
    const [only] = answer.names
    return answer.names.length === 1 && only?.place ? pathOf(only.place) : undefined
  }
  return answer.kind === 'name' && answer.place ? pathOf(answer.place) : undefined
}
