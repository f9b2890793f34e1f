import { DRIFT_KINDS } from '@sluice/shared/idwise'
import { acknowledgeDrifts, type DriftRow, describeDrift, listDrifts } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { requireOperator } from '../roles.ts'
import { idParams } from '../schemas.ts'
import { isoOrNull, time } from './replies.ts'

const entry = z.object({
  id: z.number(),
  environment: z.string(),
  kind: z.enum(DRIFT_KINDS),
  path: z.string(),
  value: z.string().describe('`*` for a text that is not kept'),
  what: z.string().describe('The difference in words.'),
  events: z.array(z.string()).describe('The kinds of the events that had it.'),
  count: z.number().describe('In how many of the events that were looked at.'),
  share: z.number().nullable().describe("Of unreadable events: their share of a day's events."),
  firstSeenAt: time,
  lastSeenAt: time,
  sample: z.string().describe('The event key of the last one.'),
  acknowledgedBy: z.string().nullable(),
  acknowledgedAt: time.nullable(),
})
const list = z.object({ items: z.array(entry) })
const querystring = z.object({
  all: z.enum(['true', 'false']).default('false').describe('Also what somebody has acknowledged.'),
})
const body = z.object({ reason: z.string().max(1_000).optional() }).nullish()

export function addDriftApi(api: App, { stores, actStores }: ConsoleDeps): void {
  const summary = 'How the events differ from what IDWise documents'
  api.get('/drift', { schema: { summary, querystring, response: { 200: list } } }, async ({ query }) => ({
    items: (await listDrifts(stores.db.pool, { all: query.all === 'true' })).map(toReply),
  }))

  const schema = {
    summary: 'Notes that a difference is known: it goes quiet',
    params: idParams,
    body,
    response: { 200: z.object({ acknowledged: z.array(z.number()) }) },
  }
  api.post('/drift/:id/ack', { schema }, async (request) => {
    const { id } = request.params
    const actor = requireOperator(request)
    const act = { ids: [id], actor, reason: request.body?.reason }
    const acknowledged = await acknowledgeDrifts(actStores.db, act)
    if (acknowledged.length === 0) throw new Problem(404, `There is nothing to acknowledge: ${id}.`)
    return { acknowledged }
  })
}

function toReply(row: DriftRow): z.infer<typeof entry> {
  const { firstSeenAt, lastSeenAt, acknowledgedAt } = row
  return {
    ...row,
    what: describeDrift(row),
    firstSeenAt: firstSeenAt.toISOString(),
    lastSeenAt: lastSeenAt.toISOString(),
    acknowledgedAt: isoOrNull(acknowledgedAt),
  }
}
