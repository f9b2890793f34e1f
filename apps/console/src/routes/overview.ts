import { acknowledgeIncident } from '@sluice/shared/operations'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { overviewPage, overviewRegion } from '../pages/overview.ts'
import { mayAct, requireOperator } from '../roles.ts'
import { idParams } from '../schemas.ts'
import { sendPage } from './reply.ts'

export function addOverview(app: App, { readNow, live, actStores }: ConsoleDeps): void {
  const region = async (isOperator: boolean) => overviewRegion(await readNow(), isOperator)

  app.get('/', { schema: { hide: true } }, async (request, reply) =>
    sendPage(request, reply, { title: 'Overview', body: overviewPage(await region(mayAct(request))) }),
  )

  app.get('/live/overview', { schema: { hide: true } }, (request, reply) => {
    const isOperator = mayAct(request)
    live.stream(`overview ${isOperator}`, () => region(isOperator), reply)
  })

  const ack = { schema: { hide: true, params: idParams } }
  app.post('/incidents/:id/ack', ack, async (request, reply) => {
    const { id } = request.params
    const isOpen = await acknowledgeIncident(actStores.db.pool, { id, actor: requireOperator(request) })
    if (!isOpen) throw new Problem(409, `Incident ${id} is over.`)
    return reply.redirect('/', 303)
  })
}
