import {
  listActions,
  listDeadLetters,
  listOperations,
  readOperation,
  STEERING_NAMES,
  steerOperation,
} from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { operationPage, operationRegion } from '../pages/operation.ts'
import { operationsPage } from '../pages/operations.ts'
import { mayAct, requireOperator } from '../roles.ts'
import { idParams, pageOf, pageQuery } from '../schemas.ts'
import { sendPage } from './reply.ts'

const hidden = { hide: true }
const PAGE = 50

export function addOperations(app: App, { stores, actStores, live }: ConsoleDeps): void {
  const { db } = stores

  app.get('/operations', { schema: { ...hidden, querystring: pageQuery } }, async (request, reply) => {
    const { before } = request.query
    const { items, next } = pageOf(await listOperations(db, { limit: PAGE + 1, before }), PAGE)
    const body = operationsPage(items, { before, older: next })
    return sendPage(request, reply, { title: 'Operations', body })
  })

  async function read(id: number, isOperator: boolean) {
    const [operation, failures, [newest], actions] = await Promise.all([
      readOperation(db, id),
      listDeadLetters(db, { state: 'open', filter: { operation: id }, limit: PAGE }),
      listDeadLetters(db, { filter: { operation: id }, limit: 1 }),
      listActions(db, { target: `operation ${id}` }, { limit: PAGE }),
    ])
    if (!operation) throw new Problem(404, `There is no operation ${id}.`)
    const inOrder = failures.toSorted((a, b) => b.lastFailedAt.getTime() - a.lastFailedAt.getTime())
    return { operation, failures: inOrder, newest, actions, mayAct: isOperator }
  }

  app.get('/operations/:id', { schema: { ...hidden, params: idParams } }, async (request, reply) => {
    const { id } = request.params
    const body = operationPage(await read(id, mayAct(request)))
    return sendPage(request, reply, { title: `Operation ${id}`, body })
  })

  app.get('/live/operations/:id', { schema: { ...hidden, params: idParams } }, (request, reply) => {
    const { id } = request.params
    const isOperator = mayAct(request)
    const region = async () => operationRegion(await read(id, isOperator))
    live.stream(`operation ${id} ${isOperator}`, region, reply)
  })

  const steering = idParams.extend({ act: z.enum(STEERING_NAMES) })
  app.post('/operations/:id/:act', { schema: { ...hidden, params: steering } }, async (request, reply) => {
    const { id, act } = request.params
    const outcome = await steerOperation(actStores.db, act, { id, actor: requireOperator(request) })
    switch (outcome.kind) {
      case 'done':
        return reply.redirect(`/operations/${id}`, 303)
      case 'not_possible':
        throw new Problem(
          409,
          `Operation ${id} is ${outcome.state.replaceAll('_', ' ')}: this is not possible now.`,
        )
      case 'not_found':
        throw new Problem(404, `There is no operation ${id}.`)
      default:
        return outcome satisfies never
    }
  })
}
