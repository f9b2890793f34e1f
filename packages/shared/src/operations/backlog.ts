import { inboxBacklog } from '../db/index.ts'
import { unfinishedOf } from '../queue/index.ts'
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
  return { inbox, queue: unfinishedOf(await queue.counts()) }
}
