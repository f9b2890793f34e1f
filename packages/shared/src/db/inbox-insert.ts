import { readEnvelope } from '../envelope.ts'
import { textArray } from './array.ts'
import { isLocked } from './failure.ts'
import type { Connection } from './pool.ts'

/** Workers listen here; ingest and replays notify. */
export const INBOX_CHANNEL = 'sluice_inbox'

type InboxEvent = { readonly jobId: string; readonly envelope: string }

/** How long an insert waits for a row that another transaction holds: a frozen worker may hold it very long. */
const HELD_MS = 100

/**
 * Inserts events. If a job waits in the inbox already, it counts one more delivery. Rows are sorted by job id, so that
 * two ingests with the same duplicates cannot deadlock.
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
    if (!isLocked(error)) throw error
    await insertBesideHeld(connection, groups, values)
  }
}

/**
 * For rows that another transaction holds. It counts on the rows that are free. The others wait under another job id
 * and land as the same event. It waits for no lock.
 */
async function insertBesideHeld(
  connection: Connection,
  groups: readonly (readonly [jobId: string, group: readonly InboxEvent[]])[],
  values: readonly unknown[],
): Promise<void> {
  const ownIds = groups.map(
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
    values: [...values, textArray(ownIds)],
  })
}

/**
 * Puts jobs that have landed once through landing again; a job that is in the inbox already is left alone. A stored
 * event is recognised by its delivery id and counts no further delivery.
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
