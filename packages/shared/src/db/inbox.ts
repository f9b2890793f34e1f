import { SUSPECT_AFTER } from '../disposition.ts'
import { textArray } from './array.ts'
import type { Connection } from './pool.ts'

/** A row that a transaction has taken out of the inbox: a commit removes it, a rollback puts it back. */
export type InboxRow = {
  readonly jobId: string
  readonly envelope: string
  readonly duplicates: number
  readonly replayOf: number | null
  /** Failed tries so far. */
  readonly attempts: number
  /** Crashes of its workers so far. */
  readonly crashes: number
  /** When it became due, ms since 1970. */
  readonly availableAt: number
}

/** Rows that no other transaction holds. */
export const free = (which: string) =>
  `ctid = any(array(select ctid from inbox where ${which} for update skip locked))`
// `date_part` computes with floats, `extract` with numerics: that costs a tenth of taking a row.
const RETURNING = `returning job_id as "jobId", envelope, duplicates, replay_of::float8 as "replayOf", attempts, crashes,
  date_part('epoch', available_at) * 1000 as "availableAt"`

export type TakeLimits = {
  /** The rows together weigh no more than this, in bytes; the last one may exceed it. */
  readonly bytes?: number
  /** Leaves out rows that were due earlier, ms since 1970: the index still lists dead rows there. */
  readonly since?: number
}

// Postgres knows the length of a long envelope without reading it.
const LIGHT = `select ctid from (
    select ctid, sum(size) over (order by available_at, ctid rows unbounded preceding) - size as before from (
      select ctid, available_at, octet_length(envelope) as size from inbox
      where available_at >= to_timestamp($3::float8 / 1000) and available_at <= now() and crashes < ${SUSPECT_AFTER}
      order by available_at limit $1 for update skip locked) as due) as weighed
  where before < $2`

/** Takes up to `limit` rows that are due, the longest waiting first, in the transaction that lands them. */
export async function takeInbox(
  connection: Connection,
  limit: number,
  { bytes = Number.MAX_SAFE_INTEGER, since = Number.NEGATIVE_INFINITY }: TakeLimits = {},
): Promise<InboxRow[]> {
  const { rows } = await connection.query<InboxRow>({
    name: 'take_inbox',
    text: `delete from inbox where ctid = any(array(${LIGHT})) ${RETURNING}`,
    values: [limit, bytes, since],
  })
  return rows.length > 0 ? rows : takeSuspect(connection)
}

async function takeSuspect(connection: Connection): Promise<InboxRow[]> {
  const due = `available_at <= now() and crashes >= ${SUSPECT_AFTER} order by crashes, available_at limit 1`
  const { rows } = await connection.query<InboxRow>({
    name: 'take_suspect',
    text: `delete from inbox where ${free(due)} ${RETURNING}`,
  })
  return rows
}

/** Takes these rows again, except for those that another worker has by now. */
export async function retakeInbox(connection: Connection, jobIds: readonly string[]): Promise<InboxRow[]> {
  const { rows } = await connection.query<InboxRow>({
    name: 'retake_inbox',
    text: `delete from inbox where ${free('job_id = any($1::text[])')} ${RETURNING}`,
    values: [textArray(jobIds)],
  })
  return rows
}

/** Puts rows back that this transaction has taken, unchanged, to be due again after `delayMs`. */
export async function putBackInbox(
  connection: Connection,
  back: readonly { readonly row: InboxRow; readonly delayMs: number }[],
): Promise<void> {
  if (back.length === 0) return
  const rows = back.map(({ row }) => row)
  await connection.query({
    name: 'put_back_inbox',
    text: `insert into inbox (job_id, envelope, duplicates, replay_of, attempts, crashes, available_at)
      select j, e, d, r, a, c, now() + ms * interval '1 millisecond'
      from unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::int[], $6::int[], $7::float8[])
        as t(j, e, d, r, a, c, ms)`,
    values: [
      textArray(rows.map(({ jobId }) => jobId)),
      textArray(rows.map(({ envelope }) => envelope)),
      rows.map(({ duplicates }) => duplicates),
      rows.map(({ replayOf }) => replayOf),
      rows.map(({ attempts }) => attempts),
      rows.map(({ crashes }) => crashes),
      back.map(({ delayMs }) => delayMs),
    ],
  })
}

/** Delays rows without counting a try, except for those that another worker has by now. */
export async function delayInbox(
  connection: Connection,
  { jobIds, delayMs, error }: { jobIds: readonly string[]; delayMs: number; error: string | null },
): Promise<void> {
  if (jobIds.length === 0) return
  await connection.query({
    name: 'delay_inbox',
    text: `update inbox set last_error = coalesce($3, last_error), available_at = now() + $2::float8 * interval '1 millisecond'
      where ${free('job_id = any($1::text[])')}`,
    values: [textArray(jobIds), delayMs, error],
  })
}

/** Counts a failed try and delays the row. @returns false if another worker has it by now */
export async function postponeInbox(
  connection: Connection,
  { jobId, delayMs, error }: { jobId: string; delayMs: number; error: string },
): Promise<boolean> {
  const { rowCount } = await connection.query({
    name: 'postpone_inbox',
    text: `update inbox set attempts = attempts + 1, last_error = $3,
      available_at = now() + $2::float8 * interval '1 millisecond' where ${free('job_id = $1')}`,
    values: [jobId, delayMs, error],
  })
  return rowCount === 1
}

/** @returns how many rows wait, and for how long the first of them has been due (ms; null if the inbox is empty) */
export async function inboxBacklog(
  connection: Connection,
): Promise<{ waiting: number; oldestMs: number | null }> {
  const { rows } = await connection.query(
    `select count(*)::float8 as waiting,
      greatest(0, extract(epoch from now() - min(available_at)) * 1000)::float8 as "oldestMs" from inbox`,
  )
  return rows[0]
}
