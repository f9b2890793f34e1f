import { byteaArray, textArray } from './array.ts'
import type { ErasedSubjects } from './erased.ts'
import type { Connection, Db } from './pool.ts'
import type { refusals } from './schema.ts'

export type Refusal = Omit<typeof refusals.$inferSelect, 'madeUpAt'>

// A redelivery may be refused by another ingest. What came again in between, and is refused again, is open again.
const WRITE = `insert into refusals (event_key, environment, event, event_id, journey_id, reference_no, first_refused_at,
    last_refused_at, deliveries)
  select * from unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
    $8::timestamptz[], $9::int[]) order by 1
  on conflict (event_key) do update set deliveries = refusals.deliveries + excluded.deliveries, made_up_at = null,
    first_refused_at = least(refusals.first_refused_at, excluded.first_refused_at),
    last_refused_at = greatest(refusals.last_refused_at, excluded.last_refused_at)`

/** Writes refused events, or adds their deliveries. It leaves out those of erased journeys and reference numbers. */
export async function writeRefusals(
  db: Db,
  subjects: ErasedSubjects,
  refused: readonly Refusal[],
): Promise<void> {
  await db.landingTransaction(async (connection, _now, erasures) => {
    const erased = await subjects.asOf(connection, erasures)
    const rows = refused.filter(
      (each) => erased.of(each.environment, { ...each, details: null }) === undefined,
    )
    if (rows.length === 0) return
    await connection.query(WRITE, [
      byteaArray(rows.map(({ eventKey }) => eventKey)),
      textArray(rows.map(({ environment }) => environment)),
      textArray(rows.map(({ event }) => event)),
      textArray(rows.map(({ eventId }) => eventId)),
      textArray(rows.map(({ journeyId }) => journeyId)),
      textArray(rows.map(({ referenceNo }) => referenceNo)),
      rows.map(({ firstRefusedAt }) => firstRefusedAt),
      rows.map(({ lastRefusedAt }) => lastRefusedAt),
      rows.map(({ deliveries }) => deliveries),
    ])
  })
}

/**
 * SQL: the event of a row `f` of `refusals` has come again since. An event without id is known by its bytes; it may
 * come an hour early.
 */
export const HAS_COME = `(exists (select from event_keys k where k.key = encode(substring(f.event_key for 16), 'hex')::uuid)
  or exists (select from dead_letters d where d.event_key = f.event_key)
  or (f.event_id is null and exists (select from events e where e.event_id is null and e.body_sha256 = f.event_key
    and e.received_at > f.first_refused_at - interval '1 hour' and e.processed_at > f.first_refused_at)))`

/**
 * Marks the refused events that have come again.
 *
 * @param withinMs only those that were last refused within this time
 */
export async function markMadeUp(connection: Connection, withinMs: number): Promise<number> {
  const { rowCount } = await connection.query(
    `update refusals f set made_up_at = now() where made_up_at is null
      and last_refused_at > now() - $1::float8 * interval '1 millisecond' and ${HAS_COME}`,
    [withinMs],
  )
  return rowCount ?? 0
}

/** Deletes minutes and refusals that are older. */
export async function deleteOldRecords(connection: Connection, before: Date): Promise<void> {
  await connection.query('delete from minutes where minute < $1', [before])
  await connection.query('delete from refusals where last_refused_at < $1', [before])
}

/** Refused events that have not come again, together if they were refused in the same minutes. */
export type RefusedTogether = { readonly first: Date; readonly last: Date; readonly events: number }

const MOST_COUNTED = 20_000

/** Those that were last refused after a time. */
export async function readOpenRefusals(connection: Connection, since: Date): Promise<RefusedTogether[]> {
  const { rows } = await connection.query<RefusedTogether>(
    `select min(first_refused_at) as first, min(last_refused_at) as last, count(*)::float8 as events
      from (select first_refused_at, last_refused_at from refusals
        where made_up_at is null and last_refused_at > $1 order by last_refused_at desc limit ${MOST_COUNTED}) as open
      group by floor(date_part('epoch', first_refused_at) / 60), floor(date_part('epoch', last_refused_at) / 60) order by 1, 2`,
    [since],
  )
  return rows
}

/** The refused events that have not come again, the oldest first. */
export async function listOpenRefusals(
  connection: Connection,
  { since, limit }: { since: Date; limit: number },
): Promise<Refusal[]> {
  const { rows } = await connection.query<Refusal>(
    `select event_key as "eventKey", environment, event, event_id as "eventId", journey_id as "journeyId",
        reference_no as "referenceNo", first_refused_at as "firstRefusedAt", last_refused_at as "lastRefusedAt", deliveries
      from refusals where made_up_at is null and last_refused_at > $1 order by last_refused_at limit $2`,
    [since, limit],
  )
  return rows
}
