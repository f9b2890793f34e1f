import type { Connection } from './pool.ts'

/** Deliveries that collapsed in the queue onto a job that was there already, not yet on the event's row. */
export type Redeliveries = {
  /** Hex. Null for an event without id, which is found by its bytes. */
  readonly eventKey: string | null
  readonly environment: string
  /** Hex. */
  readonly bodySha256: string
  readonly count: number
}

/**
 * Adds collapsed deliveries to the rows of their events.
 *
 * @returns for each, in order, whether its event has landed; what has not is for a later try.
 */
export async function countRedeliveries(
  connection: Connection,
  collapsed: readonly Redeliveries[],
): Promise<boolean[]> {
  const results = new Map<Redeliveries, boolean>()
  // Sorted like every other batch, or two of them could deadlock.
  for (const entry of collapsed.toSorted((a, b) => ((a.eventKey ?? '') < (b.eventKey ?? '') ? -1 : 1))) {
    const { eventKey, environment, bodySha256, count } = entry
    const { rowCount } = await connection.query({
      name: eventKey ? 'add_collapsed' : 'add_collapsed_anonymous',
      text: eventKey
        ? `update events set duplicates = duplicates + $1 where event_key = decode($2, 'hex') and body_sha256 = decode($3, 'hex')`
        : `update events set duplicates = duplicates + $1 where event_key = (
            select event_key from events where event_id is null and environment = $2 and body_sha256 = decode($3, 'hex')
            order by received_at desc limit 1)`,
      values: [count, eventKey ?? environment, bodySha256],
    })
    results.set(entry, (rowCount ?? 0) > 0)
  }
  return collapsed.map((entry) => results.get(entry) ?? false)
}
