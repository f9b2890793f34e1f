import type { Connection } from './pool.ts'
import type { Looked } from './schema.ts'

/** A place in the order in which events landed. The time is as Postgres writes it, since a Date has no microseconds. */
export type Landed = { readonly processedAt: string; readonly n: number }

/** All that landed after `from` and before `until`, and what earlier looks have counted. */
export type Stretch = {
  readonly from: Landed
  readonly until: string
  readonly counts: Readonly<Record<string, Looked>>
  readonly countedSince: string
}

/** A larger body is not read. Those of IDWise have less than 1 kB. */
const MOST_BYTES = 65_536
/** What landed earlier is left out, so that only the newest partition or two are read. */
const OLDEST = `interval '1 hour'`
/** For so long the share of unreadable events is counted. */
const DAY = `interval '24 hours'`

const MS = `interval '1 millisecond'`
const READ_STRETCH = `
select greatest(l.processed_at, now() - ${OLDEST})::text as "processedAt",
  case when l.processed_at >= now() - ${OLDEST} then l.n else -1 end as n, (now() - $1::float8 * ${MS})::text as until,
  case when l.counted_since > now() - ${DAY} then l.counts else '{}' end as counts,
  (case when l.counted_since > now() - ${DAY} then l.counted_since else now() end)::text as "countedSince"
from (select) as one left join drift_looks l on true`

/** @param lagMs younger events are left for later: one that landed before them may not be visible yet */
export async function readStretch(connection: Connection, lagMs: number): Promise<Stretch> {
  const { rows } = await connection.query(READ_STRETCH, [lagMs])
  const { processedAt, n, until, counts, countedSince } = rows[0]
  return { from: { processedAt, n }, until, counts, countedSince }
}

// The second condition leads to the partitions and into the index; the third one is exact.
const AFTER =
  'processed_at < $1 and processed_at >= $2 and (processed_at, n) > ($2::timestamptz, $3::smallint)'

/** How many events there are, up to `most`. */
export async function countStretch(
  connection: Connection,
  { from, until }: Pick<Stretch, 'from' | 'until'>,
  most: number,
): Promise<number> {
  const { rows } = await connection.query<{ count: number }>(
    `select count(*)::float8 as count from (select from events where ${AFTER}
      order by processed_at, n limit $4) as found`,
    [until, from.processedAt, from.n, most],
  )
  return rows[0]?.count ?? 0
}

export type LookedAt = Landed & {
  /** Hex. */
  readonly eventKey: string
  readonly environment: string
  /** Null if it is too large. */
  readonly raw: Buffer | null
  readonly encoding: string | null
}

/** The first events of a stretch. */
export async function readSlice(
  connection: Connection,
  { from, until }: Pick<Stretch, 'from' | 'until'>,
  limit: number,
): Promise<LookedAt[]> {
  const { rows } = await connection.query<LookedAt>(
    `select processed_at::text as "processedAt", n, encode(event_key, 'hex') as "eventKey", environment,
        case when octet_length(raw) <= ${MOST_BYTES} then raw end as raw, request->>'contentEncoding' as encoding
      from events where ${AFTER} order by processed_at, n limit $4`,
    [until, from.processedAt, from.n, limit],
  )
  return rows
}

/** Divides a stretch at these places, from 0 to 1. @returns the times, in their order */
export async function timesIn(
  connection: Connection,
  { from, until }: Pick<Stretch, 'from' | 'until'>,
  places: readonly number[],
): Promise<string[]> {
  const { rows } = await connection.query<{ at: string }>(
    `select ($2::timestamptz + place * ($1::timestamptz - $2::timestamptz))::text as at
      from unnest($3::float8[]) with ordinality as t(place, i) order by i`,
    [until, from.processedAt, places],
  )
  return rows.map(({ at }) => at)
}

/** Notes how far a look has come. */
export async function noteLook(
  connection: Connection,
  { from, counts, countedSince }: Omit<Stretch, 'until'>,
): Promise<void> {
  await connection.query(
    `insert into drift_looks (processed_at, n, looked_at, counts, counted_since) values ($1, $2, now(), $3, $4)
      on conflict (id) do update set processed_at = excluded.processed_at, n = excluded.n,
        looked_at = excluded.looked_at, counts = excluded.counts, counted_since = excluded.counted_since`,
    [from.processedAt, from.n, JSON.stringify(counts), countedSince],
  )
}

/** When events were last looked at, and how many since when; undefined before the first look. */
export async function readLook(
  connection: Connection,
): Promise<{ lookedAt: Date; events: number; countedSince: Date } | undefined> {
  const { rows } = await connection.query(
    `select looked_at as "lookedAt", counted_since as "countedSince",
        (select coalesce(sum((value->>'events')::float8), 0) from jsonb_each(counts)) as events from drift_looks`,
  )
  return rows[0]
}
