import { notifyInbox, recordAction, relandInbox } from '../db/index.ts'
import type { Stores } from './stores.ts'

const PAGE = 500
const REDIS_WITHIN_MS = 3_000

export type RelandOutcome =
  /** `withoutBody`: jobs that landed in this time, but whose bodies Redis does not have any more. */
  | { readonly kind: 'done'; readonly sent: number; readonly withoutBody: number }
  | { readonly kind: 'no_redis' }
  | { readonly kind: 'redis_silent' }

/**
 * Puts events into the inbox whose jobs have completed and whose bodies are still in Redis. An event that is stored
 * lands once all the same.
 *
 * @param sinceMs of the jobs that completed within this time
 */
export async function relandCompleted(
  { db, queue }: Stores,
  { sinceMs, actor, reason }: { sinceMs: number; actor: string; reason?: string | undefined },
): Promise<RelandOutcome> {
  if (!queue) return { kind: 'no_redis' }
  if (!(await queue.ready(REDIS_WITHIN_MS))) return { kind: 'redis_silent' }
  const since = new Date(Date.now() - sinceMs)
  let [sent, withoutBody] = [0, 0]
  let page: { jobId: string; envelope: string }[] = []
  async function send(): Promise<void> {
    await relandInbox(db.pool, page)
    sent += page.length
    page = []
  }
  for await (const { jobId, data } of queue.completedSince(sinceMs)) {
    if (data === null) withoutBody++
    else page.push({ jobId, envelope: data })
    if (page.length === PAGE) await send()
  }
  if (page.length > 0) await send()
  const target = `${sent} jobs completed since ${since.toISOString()}`
  await recordAction(db.pool, { actor, action: 'reland', target, reason })
  if (sent > 0) await notifyInbox(db.pool)
  return { kind: 'done', sent, withoutBody }
}
