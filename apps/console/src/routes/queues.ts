import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import { describeError } from '@sluice/shared/runtime'
import type { App, ConsoleDeps } from '../context.ts'
import { describeProblem, Problem } from '../errors.ts'
import { html } from '../html.ts'
import { nothingYet } from '../parts/states.ts'
import { sendPage } from './reply.ts'

const PREFIX = '/queues'
/** The board has a `<base>` of its own, and writes styles into its elements. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'self'",
  "form-action 'self'",
].join('; ')

/** The queues as BullMQ knows them, by bull-board. Nothing can be changed there. */
export function addQueues(app: App, { stores, log }: ConsoleDeps): void {
  if (!stores.queue) {
    app.get(PREFIX, { schema: { hide: true } }, async (request, reply) =>
      sendPage(request, reply, {
        title: 'Queues',
        body: html`<h1>Queues</h1>${nothingYet('There are no queues', 'REDIS_URL is not set: every event takes the inbox in Postgres.')}`,
      }),
    )
    return
  }
  const board = new FastifyAdapter()
  createBullBoard({
    queues: stores.queue.queues().map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter: board,
    options: { uiConfig: { boardTitle: 'Sluice queues', hideRedisDetails: true } },
  })
  board.setBasePath(PREFIX)
  board.setErrorHandler((error) => {
    const { status, words } = describeProblem(error)
    if (status >= 500) log.warn({ error: describeError(error) }, 'the board of the queues failed')
    return { status: status as 500, body: { error: words } }
  })
  app.register(async (scope) => {
    scope.addHook('onRequest', async (request) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        throw new Problem(
          405,
          'The queues can only be looked at. Dead letters can be replayed and discarded.',
        )
      }
    })
    scope.addHook('onSend', async (_request, reply, payload) => {
      reply.header('content-security-policy', CONTENT_SECURITY_POLICY)
      return payload
    })
    // Its own schemas are not zod's.
    scope.setValidatorCompiler(() => () => true)
    scope.setSerializerCompiler(() => JSON.stringify)
    await scope.register(board.registerPlugin(), { prefix: PREFIX })
  })
}
