import type { Connection } from './pool.ts'

/** Deliveries that collapsed onto a job that was in the queue already, and are not yet counted on the event's row. */
export type Redeliveries = {
  /** Hex; null for an event without id, which is found by its body. */
  readonly eventKey: string | null
  readonly environment: string
  /** Hex. */
  readonly bodySha256: string
  readonly count: number
}

/**
 * Counts redeliveries on the rows of their events.
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
      text: eventKey
        ? `update events set duplicates = duplicates + $1 where event_key = decode($2, 'hex') and body_sha256 = decode($3, 'hex')`
        : `update events set duplicates = duplicates + $1 where event_key = (
            select event_key from events where event_id is null and environment = $2 and body_sha256 = decode($3, 'hex')
            order by received_at desc limit 1)`,
      values: [count, eventKey ?? environment, bodySha256],
    })
    results.set(entry, (rowCount ?? 0) > 0)
  }
  return redeliveries.map((entry) => results.get(entry) ?? false)
}
