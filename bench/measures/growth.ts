import { median } from '../machine.ts'
import type { World } from '../world.ts'
import { measureLanding } from './landing.ts'

/** Landing into tables that already have many events and journeys. */
export type Growth = { readonly id: string; readonly present: number; readonly perSecond: number }

const ROWS_AT_ONCE = 500_000

// As landing writes them: five events of about 200 bytes in a journey.
const EVENTS = `
insert into events (event_key, environment, event, kind, event_id, journey_id, reference_no, system_decision, body, raw,
  body_sha256, request, arrival, received_at, via)
select sha256(('key' || n)::bytea), 'live', 'Finished Step', 'finished_step', 'grown-' || n, 'grown-' || (n / 5),
  'CUST-' || (n / 5), 'Incomplete', body::jsonb, body::bytea, sha256(body::bytea),
  '{"contentType": "application/json", "sourceAddress": "127.0.0.1"}', 'grown-' || n, now() - interval '1 day', 'redis'
from generate_series($1::int, $2::int) as n,
  lateral (select format('{"event":"Finished Step","body":{"eventId":"%s","journeyId":"%s","referenceNo":"CUST-%s",'
    '"systemDecision":"Incomplete"}}', 'bf41-4c09-9d27-4ef1-' || n, 'grown-8d27-11aa-' || (n / 5), n / 5) as body) as bodies`

const JOURNEYS = `
insert into journeys (environment, journey_id, reference_no, stage, system_decision, final_decision, events,
  first_event_at, last_event_at)
select 'live', 'grown-' || n, 'CUST-' || n, 'in_progress', 'Incomplete', 'Incomplete', 5, now() - interval '1 day',
  now() - interval '1 day' from generate_series($1::int, $2::int) as n`

/**
 * Measures landing at each size, and without rows before and afterwards, because a machine changes its speed. Each
 * round empties the queue, but not the tables.
 */
export async function measureGrowth(
  world: World,
  ids: readonly string[],
  { sizes, backlog, rounds }: { sizes: readonly number[]; backlog: number; rounds: number },
  report: (line: string) => void,
): Promise<Growth[]> {
  const rates = new Map<string, number[]>()
  async function measure(present: number): Promise<void> {
    for (const id of ids) {
      const own = rates.get(`${id} ${present}`) ?? []
      rates.set(`${id} ${present}`, own)
      for (let round = 0; round < rounds; round++) {
        report(`landing with ${present} events present: ${id}, round ${round + 1}`)
        own.push((await measureLanding(world, id, { count: backlog, keep: true })).perSecond)
      }
    }
  }
  await world.clear()
  await measure(0)
  let present = 0
  for (const size of sizes) {
    await grow(world, present, size, report)
    present = size
    await measure(size)
  }
  await world.clear()
  await measure(0)
  return [0, ...sizes].flatMap((size) =>
    ids.map((id) => ({ id, present: size, perSecond: median(rates.get(`${id} ${size}`) ?? []) })),
  )
}

/** Drops the indexes meanwhile: to make them again takes a fraction of the time that updating them takes. */
async function grow({ db }: World, from: number, to: number, report: (line: string) => void): Promise<void> {
  if (to <= from) return
  const { rows } = await db.pool.query<{ indexname: string; indexdef: string }>(
    `select indexname, indexdef from pg_indexes where tablename in ('events', 'journeys') and indexname not like '%\\_pk%'
      and indexname <> 'events_pkey'`,
  )
  for (const { indexname } of rows) await db.pool.query(`drop index ${indexname}`)
  for (let first = from + 1; first <= to; first += ROWS_AT_ONCE) {
    report(`filling up to ${to} events: ${first - 1}`)
    await db.pool.query(EVENTS, [first, Math.min(to, first + ROWS_AT_ONCE - 1)])
  }
  await db.pool.query(JOURNEYS, [Math.floor(from / 5) + 1, Math.floor(to / 5)])
  report('making the indexes')
  for (const { indexdef } of rows) await db.pool.query(indexdef)
  await db.pool.query('vacuum analyze events, journeys')
}
