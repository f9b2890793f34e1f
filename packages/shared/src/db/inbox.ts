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
}

/** A row that was under way in this many crashes may be their cause: it is taken alone. */
const SUSPECT_AFTER = 2

/**
 * Inserts events; a job that waits already counts one more delivery. Rows are sorted by job, so that two ingests
 * with the same duplicates cannot deadlock.
 */
export async function insertInbox(
  connection: Connection,
  events: readonly { jobId: string; envelope: string }[],
): Promise<void> {
  const groups = [...Map.groupBy(events, (event) => event.jobId)].sort(([a], [b]) => (a < b ? -1 : 1))
  await connection.query({
    name: 'insert_inbox',
    text: `insert into inbox (job_id, envelope, duplicates)
      select * from unnest($1::text[], $2::text[], $3::int[])
      on conflict (job_id) do update set duplicates = inbox.duplicates + excluded.duplicates + 1`,
    values: [
      textArray(groups.map(([jobId]) => jobId)),
      textArray(groups.map(([, [first]]) => first?.envelope ?? null)),
      groups.map(([, group]) => group.length - 1),
    ],
  })
}

/** Wakes the workers that listen. */
export async function notifyInbox(connection: Connection): Promise<void> {
  await connection.query({ name: 'notify_inbox', text: `select pg_notify('${INBOX_CHANNEL}', '')` })
}

/** Rows that no other worker has taken. */
const free = (which: string) =>
  `ctid = any(array(select ctid from inbox where ${which} for update skip locked))`
const RETURNING = `returning job_id as "jobId", envelope, duplicates, replay_of::float8 as "replayOf", attempts, crashes`

/** Takes rows whose time has come, the longest waiting first, in the transaction that lands them. */
export async function takeInbox(connection: Connection, limit: number): Promise<InboxRow[]> {
  const due = `available_at <= now() and crashes < ${SUSPECT_AFTER} order by available_at limit $1`
  const { rows } = await connection.query<InboxRow>({
    name: 'take_inbox',
    text: `delete from inbox where ${free(due)} ${RETURNING}`,
    values: [limit],
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

/**
 * Counts a crash on the rows that a dead worker had taken: claims older than any transaction may get, on rows that
 * nobody holds.
 */
export async function countCrashes(connection: Connection, olderThanMs: number): Promise<number> {
  const { rowCount } = await connection.query(
    `with dead as (delete from inbox_claims where claimed_at < now() - $1::float8 * interval '1 millisecond' returning job_ids),
      held as (select i.job_id from inbox i where i.job_id in (select unnest(job_ids) from dead) for update skip locked)
    update inbox set crashes = crashes + 1 from held where inbox.job_id = held.job_id`,
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
