import { acknowledgeIncident, readNewsSince } from '@sluice/shared/operations'
import type { FastifyRequest } from 'fastify'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { type News, overviewPage, overviewRegion } from '../pages/overview.ts'
import { mayAct, requireOperator } from '../roles.ts'
import { idParams } from '../schemas.ts'
import { awaySince, markRead } from '../visit.ts'
import { sendPage } from './reply.ts'

export function addOverview(app: App, { readNow, live, stores, actStores, ingestUrl }: ConsoleDeps): void {
  const region = async (isOperator: boolean) => overviewRegion(await readNow(), { isOperator, ingestUrl })

  /** What happened while the person was away; undefined on a first visit, and while Postgres does not tell. */
  async function newsFor(request: FastifyRequest): Promise<News | undefined> {
    const since = awaySince(request)
    if (!since || !request.user) return undefined
    const { state } = await readNow()
    if (state.figures.stores.postgres !== 'up') return undefined
    const person = request.user.name
    const news = await readNewsSince(stores.db, { since, person }).catch(() => undefined)
    return news && { news, since }
  }

  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    const [shown, news] = await Promise.all([region(mayAct(request)), newsFor(request)])
    return sendPage(request, reply, { title: 'Overview', body: overviewPage(shown, news) })
  })

  // It changes only what this person is shown as new.
  app.post('/seen', { schema: { hide: true }, config: { access: 'viewer' } }, async (request, reply) => {
    markRead(request, reply)
    return reply.redirect('/', 303)
  })

  app.get('/live/overview', { schema: { hide: true } }, (request, reply) => {
    const isOperator = mayAct(request)
    live.stream(`overview ${isOperator}`, () => region(isOperator), reply)
  })

  const ack = { schema: { hide: true, params: idParams } }
  app.post('/incidents/:id/ack', ack, async (request, reply) => {
    const { id } = request.params
    const isOpen = await acknowledgeIncident(actStores.db, { id, actor: requireOperator(request) })
    if (!isOpen) throw new Problem(409, `Incident ${id} is over.`)
    return reply.redirect('/', 303)
  })
}
