import {
  listOperations,
  newOperation,
  readOperation,
  STEERING_NAMES,
  startOperation,
  steerOperation,
} from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { requireOperator } from '../roles.ts'
import { apiPageQuery, idParams, pageOf } from '../schemas.ts'
import { operationReply, toOperation } from './operation-reply.ts'
import { nextPath } from './replies.ts'

const list = z.object({ items: z.array(operationReply), next: z.string().nullable() })
const refused = z.object({
  error: z.string(),
  count: z.number().optional().describe('How many letters there are now.'),
  id: z.number().optional().describe('The operation that does the same.'),
})

const STEERING_SUMMARIES: Readonly<Record<(typeof STEERING_NAMES)[number], string>> = {
  go: 'Lets an operation go on with the rest after its sample',
  pause: 'Pauses an operation',
  resume: 'Resumes an operation that is paused',
  cancel: 'Cancels an operation: what it has done stays done',
}

export function addOperationsApi(api: App, { stores, actStores }: ConsoleDeps): void {
  async function read(id: number, { db } = stores) {
    const operation = await readOperation(db, id)
    if (!operation) throw new Problem(404, `There is no operation ${id}.`)
    return toOperation(operation)
  }

  api.get(
    '/operations',
    { schema: { summary: 'Operations, newest first', querystring: apiPageQuery, response: { 200: list } } },
    async ({ query: { limit, before }, url }) => {
      const { items, next } = pageOf(await listOperations(stores.db, { limit: limit + 1, before }), limit)
      return { items: items.map(toOperation), next: nextPath(url, next) }
    },
  )

  api.get(
    '/operations/:id',
    { schema: { summary: 'An operation', params: idParams, response: { 200: operationReply } } },
    async ({ params: { id } }) => read(id),
  )

  const summary = 'Replays, discards or opens again exactly as many dead letters as were seen'
  const response = { 201: operationReply, 409: refused, 422: refused }
  api.post('/operations', { schema: { summary, body: newOperation, response } }, async (request, reply) => {
    const actor = requireOperator(request)
    const outcome = await startOperation(actStores.db, { ...request.body, actor })
    switch (outcome.kind) {
      case 'started':
        return reply.code(201).send(await read(outcome.id, actStores))
      case 'count_changed': {
        const { count } = outcome
        const error = `There are ${count} now, and ${request.body.expected} were expected. Nothing was done.`
        return reply.code(409).send({ error, count })
      }
      case 'under_way':
        return reply.code(409).send({ error: `Operation ${outcome.id} does this already.`, id: outcome.id })
      case 'nothing_to_do':
        return reply.code(409).send({ error: 'There are none.', count: 0 })
      case 'empty_filter':
        return reply.code(422).send({ error: 'The filter is empty: this would be about all dead letters.' })
      default:
        return outcome satisfies never
    }
  })

  for (const act of STEERING_NAMES) {
    const schema = {
      summary: STEERING_SUMMARIES[act],
      params: idParams,
      response: { 200: operationReply, 409: refused },
    }
    api.post(`/operations/:id/${act}`, { schema }, async (request, reply) => {
      const { id } = request.params
      const outcome = await steerOperation(actStores.db, act, { id, actor: requireOperator(request) })
      switch (outcome.kind) {
        case 'done':
          return reply.code(200).send(await read(id, actStores))
        case 'not_possible':
          return reply.code(409).send({ error: `It is ${outcome.state}: this is not possible now.` })
        case 'not_found':
          throw new Problem(404, `There is no operation ${id}.`)
        default:
          return outcome satisfies never
      }
    })
  }
}
