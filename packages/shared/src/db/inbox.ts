import { SUSPECT_AFTER } from '../disposition.ts'
import { readEnvelope } from '../envelope.ts'
import { errorCode } from '../runtime/errors.ts'
import { textArray } from './array.ts'
import type { Connection } from './pool.ts'

/** Workers listen here; ingest and replays notify. */
export const INBOX_CHANNEL = 'sluice_inbox'

/** A row that a worker has taken: gone with its transaction, or there again. */
export type InboxRow = {
  readonly jobId: string
  readonly envelope: string
  readonly duplicates: number
  readonly replayOf: number | null
  /** Failed tries so far. */
  readonly attempts: number
  /** Crashes of its worker so far. */
  readonly crashes: number
  /** Since when it has been due, ms since 1970. */
  readonly availableAt: number
}

type InboxEvent = { readonly jobId: string; readonly envelope: string }

/** A worker that is frozen may hold a row for as long as Postgres lets it. */
const HELD_MS = 100

/**
 * Inserts events; a job that waits already counts one more delivery. Rows are sorted by job, so that two ingests
 * with the same duplicates cannot deadlock. Where somebody holds a row it is not waited for.
 *
 * @param connection outside of a transaction
 */
export async function insertInbox(connection: Connection, events: readonly InboxEvent[]): Promise<void> {
  const groups = [...Map.groupBy(events, (event) => event.jobId)].sort(([a], [b]) => (a < b ? -1 : 1))
  const values = [
    textArray(groups.map(([jobId]) => jobId)),
    textArray(groups.map(([, [first]]) => first?.envelope ?? null)),
    groups.map(([, group]) => group.length - 1),
  ]
  try {
    await connection.query({
      name: 'insert_inbox',
      text: `insert into inbox (job_id, envelope, duplicates)
        select given.* from set_config('lock_timeout', '${HELD_MS}', true),
          unnest($1::text[], $2::text[], $3::int[]) as given
        on conflict (job_id) do update set duplicates = inbox.duplicates + excluded.duplicates + 1`,
      values,
    })
  } catch (error) {
    if (errorCode(error) !== '55P03') throw error
    await insertBesideHeld(connection, groups, values)
  }
}

/**
 * Counts on the rows that nobody holds; what is left waits under a job id of its own, and lands as the same event. It
 * waits for nobody.
 */
async function insertBesideHeld(
  connection: Connection,
  groups: readonly (readonly [jobId: string, group: readonly InboxEvent[]])[],
  values: readonly unknown[],
): Promise<void> {
  const own = groups.map(
    ([jobId, [first]]) => `${jobId}-d${readEnvelope(JSON.parse(first?.envelope ?? '{}'))?.deliveryId}`,
  )
  await connection.query({
    name: 'insert_beside_held',
    text: `with given as (
        select * from unnest($1::text[], $2::text[], $3::int[], $4::text[]) as t(job_id, envelope, more, own)),
      free as (select job_id from inbox where job_id = any($1::text[]) for update skip locked),
      counted as (update inbox set duplicates = inbox.duplicates + given.more + 1 from given, free
        where inbox.job_id = free.job_id and given.job_id = free.job_id returning inbox.job_id)
      insert into inbox (job_id, envelope, duplicates)
      select own, envelope, more from given where job_id not in (select job_id from counted)`,
    values: [...values, textArray(own)],
  })
}

/**
 * Puts jobs that have landed once through landing again; what waits already is left alone. What is stored is told by its
 * arrival, and counts no delivery more.
 */
export async function relandInbox(
  connection: Connection,
  jobs: readonly { jobId: string; envelope: string }[],
): Promise<void> {
  const sorted = jobs.toSorted((a, b) => (a.jobId < b.jobId ? -1 : 1))
  await connection.query(
    `insert into inbox (job_id, envelope) select * from unnest($1::text[], $2::text[]) on conflict (job_id) do nothing`,
    [textArray(sorted.map(({ jobId }) => jobId)), textArray(sorted.map(({ envelope }) => envelope))],
  )
}

/** Wakes the workers that listen. */
export async function notifyInbox(connection: Connection): Promise<void> {
  await connection.query({ name: 'notify_inbox', text: `select pg_notify('${INBOX_CHANNEL}', '')` })
}

/** Rows that no other worker has taken. */
const free = (which: string) =>
  `ctid = any(array(select ctid from inbox where ${which} for update skip locked))`
const RETURNING = `returning job_id as "jobId", envelope, duplicates, replay_of::float8 as "replayOf", attempts, crashes,
  (extract(epoch from available_at) * 1000)::float8 as "availableAt"`

export type TakeLimits = {
  /** Together the rows weigh no more than this, in bytes, but for the last one. */
  readonly bytes?: number
  /** Rows that were due earlier are left out, ms since 1970: dead ones would be passed over one by one. */
  readonly since?: number
}

// Postgres need not read a long envelope to know its length.
const LIGHT = `select ctid from (
    select ctid, sum(size) over (order by available_at, ctid rows unbounded preceding) - size as before from (
      select ctid, available_at, octet_length(envelope) as size from inbox
      where available_at >= to_timestamp($3::float8 / 1000) and available_at <= now() and crashes < ${SUSPECT_AFTER}
      order by available_at limit $1 for update skip locked) as due) as weighed
  where before < $2`

/** Takes up to `limit` rows whose time has come, the longest waiting first, in the transaction that lands them. */
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

/** Takes these rows again; leaves out those that another worker has by now. */
export async function retakeInbox(connection: Connection, jobIds: readonly string[]): Promise<InboxRow[]> {
  const { rows } = await connection.query<InboxRow>({
    name: 'retake_inbox',
    text: `delete from inbox where ${free('job_id = any($1::text[])')} ${RETURNING}`,
    values: [textArray(jobIds)],
  })
  return rows
}

/**
 * Notes what a worker is about to land, outside of the transaction that does it. It need not survive a crash of
 * Postgres, only one of the worker.
 *
 * @param connection outside of a transaction
 */
export async function noteClaim(
  connection: Connection,
  worker: string,
  jobIds: readonly string[],
): Promise<void> {
  await connection.query({
    name: 'note_claim',
    text: `insert into inbox_claims (worker, job_ids)
      select $1, $2::text[] from set_config('synchronous_commit', 'off', true)
      on conflict (worker) do update set job_ids = excluded.job_ids, claimed_at = now()`,
    values: [worker, textArray(jobIds)],
  })
}

/** Ends a worker's claim, at its orderly end or when it has rolled back. */
export async function dropClaim(connection: Connection, worker: string): Promise<void> {
  await connection.query('delete from inbox_claims where worker = $1', [worker])
}

/** Puts taken rows back as they were, in the transaction that has taken them, to be due again after `delayMs`. */
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

/** Moves the time of rows on, without counting a try; those that another worker has by now are left alone. */
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

/**
 * Counts a crash on the rows that a dead worker had taken: claims older than any transaction may get, on rows that
 * nobody holds.
 */
export async function countCrashes(connection: Connection, olderThanMs: number): Promise<number> {
  const { rowCount } = await connection.query(
    `with dead as (delete from inbox_claims where claimed_at < now() - $1::float8 * interval '1 millisecond' returning job_ids),
      under_way as (select array(select unnest(job_ids) from dead) as ids)
    update inbox set crashes = crashes + 1
    where job_id = any((select ids from under_way)::text[])
      and ${free('job_id = any((select ids from under_way)::text[])')}`,
    [olderThanMs],
  )
  return rowCount ?? 0
}

/** Counts a failed try and moves the row's time on, unless another worker has it by now. */
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

/** @returns how many rows wait, and for how long the first of them has been due (ms; null where none is). */
export async function inboxBacklog(
  connection: Connection,
): Promise<{ waiting: number; oldestMs: number | null }> {
  const { rows } = await connection.query(
    `select count(*)::float8 as waiting,
      greatest(0, extract(epoch from now() - min(available_at)) * 1000)::float8 as "oldestMs" from inbox`,
  )
  return rows[0]
}
