import { inboxBacklog } from '../db/index.ts'
import type { Stores } from './stores.ts'

/** How many events have been received and have not ended yet. `queue` is null if there is no Redis that answers. */
export type Backlog = { readonly inbox: number; readonly queue: number | null }

/** @param redisMs how long Redis may take to answer */
export async function countBacklog(
  { db, queue }: Pick<Stores, 'db' | 'queue'>,
  redisMs = 2_000,
): Promise<Backlog> {
  const { waiting: inbox } = await inboxBacklog(db.pool)
  if (!queue || !(await queue.ready(redisMs))) return { inbox, queue: null }
  const { waiting, active, delayed, failed } = await queue.counts()
  // The sweeper makes a dead letter of a failed job.
  return { inbox, queue: waiting + active + delayed + failed }
}
