import { textArray } from './array.ts'
import { free } from './inbox.ts'
import type { Connection } from './pool.ts'

/**
 * Notes what a worker is about to land, outside of the transaction that lands it. The note must survive a crash of the
 * worker, not one of Postgres.
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

/** Ends a worker's claim when it stops or has rolled back. */
export async function dropClaim(connection: Connection, worker: string): Promise<void> {
  await connection.query('delete from inbox_claims where worker = $1', [worker])
}

/**
 * Counts a crash on the rows that a dead worker had claimed: on rows that nobody holds, by claims that are older than
 * any transaction may get.
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
