import { acknowledgeDrifts, listDrifts, readLook } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { driftPage } from '../pages/drift.ts'
import { mayAct, requireOperator } from '../roles.ts'
import { sendPage } from './reply.ts'

const ids = z.string().regex(/^\d{1,15}(,\d{1,15}){0,499}$/)

export function addDrift(app: App, { stores: { db }, actStores }: ConsoleDeps): void {
  app.get('/drift', { schema: { hide: true } }, async (request, reply) => {
    const [rows, look] = await Promise.all([listDrifts(db.pool, { all: true }), readLook(db.pool)])
    const body = driftPage(rows, { look, mayAct: mayAct(request) })
    return sendPage(request, reply, { title: 'Drift', body })
  })

  const schema = { hide: true, body: z.object({ ids }) }
  app.post('/drift/ack', { schema }, async (request, reply) => {
    const numbers = request.body.ids.split(',').map(Number)
    const done = await acknowledgeDrifts(actStores.db, { ids: numbers, actor: requireOperator(request) })
    if (done.length === 0) throw new Problem(409, 'Somebody has acknowledged this already.')
    return reply.redirect('/drift', 303)
  })
}
