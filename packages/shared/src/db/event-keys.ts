/** An event that has landed, and is not stored any more. */
export type GoneEvent = {
  /** The first 16 bytes of its key, in hex. */
  readonly eventKey: string
  readonly landedAt: Date
  /** `missing`: the row was deleted by hand, and a new delivery lands. */
  readonly because: 'dropped' | 'erased' | 'missing'
}

/** SQL: the row `e` of `events` that a row `k` of `event_keys` leads to, in one partition. */
export const OF_KEY =
  'e.processed_at = k.landed_at and e.n = k.n and substring(e.event_key for 16) = uuid_send(k.key)'

/** The part of an event key that `event_keys` has, as a UUID. */
export function keyStart(eventKey: Buffer): string {
  return eventKey.toString('hex', 0, 16)
}
