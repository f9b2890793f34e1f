import type { Redeliveries } from '../idwise/identity.ts'
import { OF_KEY } from './event-keys.ts'
import type { Connection } from './pool.ts'

const COUNT = `with k as materialized (
    select * from event_keys where key = substring($2 for 32)::uuid for no key update),
  counted as (update events e set duplicates = e.duplicates + $1 from k
    where ${OF_KEY} and e.event_key = decode($2, 'hex') and e.body_sha256 = decode($3, 'hex'))
  select from k`
// Counted soon after the event has landed, which bounds the look-up.
const COUNT_ANONYMOUS = `with newest as materialized (
    select processed_at, n, event_key from events where event_id is null and environment = $2
      and body_sha256 = decode($3, 'hex') and processed_at > now() - interval '30 days'
      order by received_at desc limit 1)
  update events e set duplicates = e.duplicates + $1 from newest
    where e.processed_at = newest.processed_at and e.n = newest.n and e.event_key = newest.event_key`

/**
 * Counts redeliveries on the rows of their events. An event without id is found by its body. Those of an event without
 * row are not kept.
 *
 * @returns for each, in order, whether its event has landed; the others are for a later try
 */
export async function countRedeliveries(
  connection: Connection,
  redeliveries: readonly Redeliveries[],
): Promise<boolean[]> {
  const results = new Map<Redeliveries, boolean>()
  // Sorted like every other batch, or two of them could deadlock.
  for (const entry of redeliveries.toSorted((a, b) => ((a.eventKey ?? '') < (b.eventKey ?? '') ? -1 : 1))) {
    const { eventKey, environment, bodySha256, count } = entry
    const { rowCount } = await connection.query({
      name: eventKey ? 'count_redeliveries' : 'count_redeliveries_anonymous',
      text: eventKey ? COUNT : COUNT_ANONYMOUS,
      values: [count, eventKey ?? environment, bodySha256],
    })
    results.set(entry, (rowCount ?? 0) > 0)
  }
  return redeliveries.map((entry) => results.get(entry) ?? false)
}
