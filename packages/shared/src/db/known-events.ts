import { ANONYMOUS_WINDOW_MS } from '../idwise/identity.ts'
import { byteaArray, uuidArray } from './array.ts'
import { OF_KEY } from './event-keys.ts'
import { bodySha256, type EventRow } from './event-row.ts'
import type { Connection } from './pool.ts'

/** A key as a latin1 string, which can be compared and looked up. */
export type KeyText = string

/** What is known of an event whose key is stored, to compare a delivery with it. */
export type LockedEvent = {
  /** Where it is or was. The time is as Postgres writes it, since a Date has no microseconds. */
  readonly landedAt: string
  readonly n: number | null
  /** The first 8 bytes of its body's SHA-256. */
  readonly bodyStart: Buffer
  /** The partition in which it landed has been dropped. */
  readonly isDropped: boolean
  /** Null if there is no row any more. */
  readonly stored: StoredDelivery | null
}

type StoredDelivery = {
  readonly bodySha256: Buffer
  readonly deliveryId: string
  readonly environment: string
  readonly journeyId: string | null
  /** ms since 1970 */
  readonly receivedAt: number
}

/** Locks the keys of events that are stored, or have been; they must be sorted. */
export async function lockEvents(
  connection: Connection,
  keys: readonly Buffer[],
): Promise<Map<KeyText, LockedEvent>> {
  const { rows } = await connection.query<LockedEvent & StoredDelivery & { index: number }>({
    name: 'lock_events',
    text: `select wanted.n::int - 1 as index, k.landed_at::text as "landedAt", k.n, k.body as "bodyStart",
        coalesce(k.landed_at < r.dropped_before, false) as "isDropped",
        e.body_sha256 as "bodySha256", e.delivery_id as "deliveryId", e.environment, e.journey_id as "journeyId",
        round(date_part('epoch', e.received_at) * 1000) as "receivedAt"
      from unnest($1::uuid[]) with ordinality as wanted(key, n) join event_keys k on k.key = wanted.key
      left join retention r on true left join lateral (select * from events e where ${OF_KEY} offset 0) as e on true
      order by k.key for no key update of k`,
    values: [uuidArray(keys)],
  })
  return new Map(
    rows.map(({ index, landedAt, n, bodyStart, isDropped, ...stored }) => [
      (keys[index] as Buffer).toString('latin1'),
      { landedAt, n, bodyStart, isDropped, stored: stored.bodySha256 === null ? null : stored },
    ]),
  )
}

/** Forgets that these events have landed: their rows were deleted by hand, and a new delivery replaces them. */
export async function forgetKeys(connection: Connection, keys: readonly Buffer[]): Promise<void> {
  if (keys.length === 0) return
  await connection.query({
    name: 'forget_keys',
    text: 'delete from event_keys where key = any($1::uuid[])',
    values: [uuidArray(keys)],
  })
}

/** A row of `events` by its place. */
type Place = { readonly eventKey: Buffer; readonly landedAt: string; readonly n: number | null }

const placesOf = (places: readonly Place[]) => [
  byteaArray(places.map(({ eventKey }) => eventKey)),
  places.map(({ landedAt }) => landedAt),
  places.map(({ n }) => n),
]
const AT_PLACE = 'e.processed_at = place.landed_at and e.n = place.n and e.event_key = place.key'

/**
 * The stored bytes of events that may be the same document in other bytes, because a sender may compress a body anew
 * for each delivery and write the time into it.
 *
 * @param places of locked events that are stored with other bytes, with whether their new body is compressed; the
 * others are read only if their stored body is
 */
export async function readCompressed(
  connection: Connection,
  places: readonly (Place & { readonly isCompressed: boolean })[],
): Promise<Map<KeyText, Buffer>> {
  const { rows } = await connection.query<{ key: Buffer; raw: Buffer }>({
    name: 'read_compressed',
    text: `select e.event_key as key, e.raw
      from unnest($1::bytea[], $2::timestamptz[], $3::smallint[], $4::boolean[]) as place(key, landed_at, n, compressed)
      join events e on ${AT_PLACE}
      where place.compressed or substring(e.raw for 2) = decode('1f8b', 'hex')`,
    values: [...placesOf(places), places.map(({ isCompressed }) => isCompressed)],
  })
  return new Map(rows.map(({ key, raw }) => [key.toString('latin1'), raw]))
}

/**
 * Adds further deliveries to events that the caller has locked. If one was received before the one that landed first,
 * the event takes its time of receipt, so that the order of landing makes no difference.
 */
export async function countDuplicates(
  connection: Connection,
  deliveries: readonly (Place & { readonly count: number; readonly firstAt: number })[],
): Promise<void> {
  if (deliveries.length === 0) return
  await connection.query({
    name: 'count_duplicates',
    text: `update events e set duplicates = e.duplicates + place.count,
        received_at = least(e.received_at, to_timestamp(place.at / 1000))
      from unnest($1::bytea[], $2::timestamptz[], $3::smallint[], $4::int[], $5::float8[])
        as place(key, landed_at, n, count, at) where ${AT_PLACE}`,
    values: [
      ...placesOf(deliveries),
      deliveries.map(({ count }) => count),
      deliveries.map(({ firstAt }) => firstAt),
    ],
  })
}

/**
 * Locks each of these bodies, then finds the stored events without id that have them, within the window around the
 * times of receipt.
 *
 * @param rows one per environment and body
 * @returns by `environment sha256hex`: the key and the first time of receipt, ms since 1970
 */
export async function newestAnonymous(
  connection: Connection,
  rows: readonly EventRow[],
): Promise<Map<string, { eventKey: Buffer; receivedAt: number }[]>> {
  const sorted = rows.map(bodySha256).sort(Buffer.compare)
  // The lock's number is the start of the hash. Two bodies with the same number only wait for each other.
  await connection.query({
    name: 'lock_bodies',
    text: 'select pg_advisory_xact_lock(n) from (select n from unnest($1::bigint[]) as t(n) order by n) as sorted',
    values: [sorted.map((sha256) => sha256.readBigInt64BE())],
  })
  const { rows: found } = await connection.query({
    name: 'find_anonymous',
    text: `select environment, body_sha256, event_key, round(date_part('epoch', received_at) * 1000) as received_at
      from events where event_id is null and body_sha256 = any($1::bytea[])
      and received_at > to_timestamp($2::float8 / 1000) and processed_at > to_timestamp($2::float8 / 1000)
      order by received_at`,
    // An event lands after it was received: so the time leads to the partitions, too.
    values: [sorted, Math.min(...rows.map((row) => row.at)) - 2 * ANONYMOUS_WINDOW_MS],
  })
  const groups = Map.groupBy(found, (row) => `${row.environment} ${row.body_sha256.toString('hex')}`)
  return new Map(
    [...groups].map(([name, group]) => [
      name,
      group.map((row) => ({ eventKey: row.event_key as Buffer, receivedAt: row.received_at as number })),
    ]),
  )
}
