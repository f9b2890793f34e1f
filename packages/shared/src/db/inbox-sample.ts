import { textArray } from './array.ts'
import type { Db } from './pool.ts'

/** A row of the inbox, to be shown. */
export type WaitingRow = {
  readonly jobId: string
  readonly envelope: string
  readonly attempts: number
  readonly lastError: string | null
}

/** Envelopes of more bytes together are not read. */
const MOST_BYTES = 8_000_000
const SHOWN = 'job_id as "jobId", envelope, attempts, last_error as "lastError"'

/** The rows that have been due longest, at most so many. @returns `isAll`: the inbox has no others */
export async function sampleInbox(
  { pool }: Db,
  limit: number,
): Promise<{ rows: WaitingRow[]; isAll: boolean }> {
  const { rows } = await pool.query<WaitingRow & { isHeavy: boolean }>(
    `select ${SHOWN} from (
      select *, sum(octet_length(envelope)) over (order by available_at, job_id) as bytes from (
        select * from inbox order by available_at, job_id limit $1) as first) as weighed
    where bytes <= $2 order by available_at, job_id`,
    [limit + 1, MOST_BYTES],
  )
  if (rows.length > limit) return { rows: rows.slice(0, limit), isAll: false }
  const { rows: counted } = await pool.query<{ n: number }>(
    'select count(*)::int as n from (select from inbox limit $1) as first',
    [limit + 1],
  )
  return { rows, isAll: (counted[0]?.n ?? 0) <= rows.length }
}

/** The inbox rows of these jobs. */
export async function findInboxRows({ pool }: Db, jobIds: readonly string[]): Promise<WaitingRow[]> {
  if (jobIds.length === 0) return []
  const { rows } = await pool.query<WaitingRow>(`select ${SHOWN} from inbox where job_id = any($1::text[])`, [
    textArray(jobIds),
  ])
  return rows
}
