import type { Db } from './pool.ts'
import { ENDED_BEFORE } from './retention-plan.ts'

const KEYS = 10_000
const LETTERS = 1_000
/** No event is older. */
const START = new Date(Date.UTC(2020, 0))
const HOUR_MS = 3_600_000

/**
 * Deletes the keys of events that landed before a time, but none of an event that is stored. It goes from one span of
 * time to the next, since the index on the time leads to few pages for a short one. An empty span doubles the next one.
 *
 * @returns how many
 */
export async function deleteKeys(db: Db, before: Date, stop: AbortSignal): Promise<number> {
  const { rows } = await db.pool.query<{ since: Date | null; limit: Date | null }>(
    'select keys_before as since, least(dropped_before, $1::timestamptz) as limit from retention where dropped_before is not null',
    [before],
  )
  const limit = rows[0]?.limit
  if (!limit) return 0
  let deleted = 0
  let stepMs = HOUR_MS
  for (let since = rows[0]?.since ?? START; since < limit; ) {
    stop.throwIfAborted()
    const until = new Date(Math.min(since.getTime() + stepMs, limit.getTime()))
    const { rowCount } = await db.pool.query(DELETE_KEYS, [since, until, KEYS])
    const count = rowCount ?? 0
    deleted += count
    stepMs = count === 0 ? stepMs * 2 : HOUR_MS
    // There may be more in this span.
    if (count === KEYS) continue
    since = until
    if (count > 0 || until.getTime() === limit.getTime()) await db.pool.query(RECORD_KEYS, [until])
  }
  return deleted
}

const DELETE_KEYS = `delete from event_keys where ctid = any(array(
  select ctid from event_keys where landed_at >= $1 and landed_at < $2 limit $3))`
const RECORD_KEYS = 'update retention set keys_before = greatest(keys_before, $1::timestamptz)'

/**
 * Deletes dead letters that are resolved or discarded and have last failed before a time.
 *
 * @returns how many
 */
export async function deleteDeadLetters(db: Db, before: Date, stop: AbortSignal): Promise<number> {
  for (let deleted = 0; ; ) {
    stop.throwIfAborted()
    const { rowCount } = await db.pool.query(
      `delete from dead_letters where id = any(array(
        select id from dead_letters where ${ENDED_BEFORE} order by id limit $2 for update skip locked))`,
      [before, LETTERS],
    )
    deleted += rowCount ?? 0
    if ((rowCount ?? 0) < LETTERS) return deleted
  }
}
