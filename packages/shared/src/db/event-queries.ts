import { and, desc, eq, isNull, or, sql } from 'drizzle-orm'
import type { DeadLetter } from './dead-letter-queries.ts'
import { GONE_BECAUSE, type GoneEvent, keyStart, OF_KEY } from './event-keys.ts'
import { withFailures } from './letter-failures.ts'
import type { Db } from './pool.ts'
import { deadLetters, events } from './schema.ts'
import { keysOfId, readEnvironments } from './search-events.ts'

type StoredEvent = typeof events.$inferSelect

export type EventsFound = {
  readonly events: StoredEvent[]
  readonly deadLetters: DeadLetter[]
  readonly gone: GoneEvent[]
}

const MOST = 100

/**
 * Finds events and dead letters, newest first, at most 100 of each.
 *
 * @param id an event id, an event key, or the SHA-256 of a body without event id. Key and hash are 64 hex digits, as
 * the ingest answers them.
 */
export async function findEvent(db: Db, id: string): Promise<EventsFound> {
  const hex = /^[0-9a-f]{64}$/i.test(id) ? Buffer.from(id, 'hex') : undefined
  const places = await findPlaces(db, [...keysOfId(id, await readEnvironments(db)), ...(hex ? [hex] : [])])
  const known = places.flatMap(({ key, at, n, because }) =>
    because
      ? []
      : [
          and(
            sql`(${events.processedAt}, ${events.n}) = (${at}::timestamptz, ${n})`,
            eq(events.eventKey, key),
          ),
        ],
  )
  const others = or(
    and(eq(events.eventId, id), eq(events.kind, sql`'unrecognised'`)),
    hex && and(eq(events.bodySha256, hex), isNull(events.eventId)),
  )
  // Two queries: the first one reads no partition but those of its places.
  const found = [
    ...(known.length > 0
      ? await db.query
          .select()
          .from(events)
          .where(or(...known))
      : []),
    ...(await db.query.select().from(events).where(others).orderBy(desc(events.receivedAt)).limit(MOST)),
  ]
  const isLetter = or(
    eq(deadLetters.eventId, id),
    hex && eq(deadLetters.eventKey, hex),
    hex && and(eq(sql`sha256(${deadLetters.raw})`, hex), isNull(deadLetters.eventId)),
  )
  const letters = await db.query
    .select()
    .from(deadLetters)
    .where(isLetter)
    .orderBy(desc(deadLetters.id))
    .limit(MOST)
  return {
    events: found.sort((a, b) => b.receivedAt.getTime() - a.receivedAt.getTime()).slice(0, MOST),
    deadLetters: letters.map(withFailures),
    gone: places.flatMap(({ key, landedAt, because }) =>
      because ? [{ eventKey: key.toString('hex', 0, 16), landedAt, because }] : [],
    ),
  }
}

type FoundPlace = {
  readonly key: Buffer
  readonly landedAt: Date
  /** `landedAt` with its microseconds. */
  readonly at: string
  readonly n: number | null
  readonly because: GoneEvent['because'] | null
}

async function findPlaces({ pool }: Db, keys: readonly Buffer[]): Promise<FoundPlace[]> {
  const { rows } = await pool.query<Omit<FoundPlace, 'key'> & { index: number }>(
    `select wanted.n::int - 1 as index, k.landed_at as "landedAt", k.landed_at::text as at, k.n,
      case when e.found is null then ${GONE_BECAUSE} end as because
    from unnest($1::uuid[]) with ordinality as wanted(key, n) join event_keys k on k.key = wanted.key
    left join retention r on true left join lateral (select true as found from events e where ${OF_KEY} offset 0) as e on true`,
    [keys.map(keyStart)],
  )
  return rows.map(({ index, ...place }) => ({ ...place, key: keys[index] as Buffer }))
}
