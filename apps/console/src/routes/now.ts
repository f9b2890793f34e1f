import { describeState } from '@sluice/shared/operations'
import * as z from 'zod'
import { stateReply } from '../api/state.ts'
import type { App, ConsoleDeps } from '../context.ts'
import { nowPage, nowRegion } from '../pages/now.ts'
import { sendPage } from './reply.ts'

const querystring = z.object({ format: z.enum(['html', 'text', 'json']).optional() })

/** The state as a page for browsers, as text for curl, as JSON for monitors. */
export function addNow(app: App, { readNow, live }: ConsoleDeps): void {
  const region = async () => nowRegion(await readNow())

  app.get('/now', { schema: { hide: true, querystring } }, async (request, reply) => {
    const isForBrowser = request.headers.accept?.includes('text/html') ?? false
    const format = request.query.format ?? (isForBrowser ? 'html' : 'text')
    reply.header('vary', 'Accept')
    switch (format) {
      case 'html':
        return sendPage(request, reply, { title: 'Now', body: nowPage(await region()) })
      case 'text':
        return reply.type('text/plain; charset=utf-8').send(`${describeState((await readNow()).state)}\n`)
      case 'json':
        return reply.send(stateReply(await readNow()))
      default:
        return format satisfies never
    }
  })

  app.get('/live/now', { schema: { hide: true } }, (_request, reply) => {
    live.stream('now', region, reply)
  })
}
