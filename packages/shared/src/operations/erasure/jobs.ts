import { addProgress, createMatcher, keepKeysOut, keyOf, keysOf, type Wanted } from '../../db/index.ts'
import { failpoint, pause, UserError } from '../../runtime/index.ts'
import type { Stores } from '../stores.ts'

const LOOK_EVERY_MS = 200

/**
 * Removes all jobs from the queue that belong to what is wanted. Before that, their keys keep the events out that have
 * not landed. A job that a worker has claimed is waited for.
 *
 * @returns how many were removed
 */
export async function eraseJobs(
  { db, queue }: Pick<Stores, 'db' | 'queue'>,
  erasure: number,
  wanted: Wanted,
  limitMs: number,
): Promise<number> {
  const match = createMatcher(wanted)
  const limit = Date.now() + limitMs
  let removed = 0
  for (const shard of queue?.allJobs() ?? []) {
    for (;;) {
      const found: { jobId: string; eventKey: Buffer | null }[] = []
      for await (const { jobId, data } of shard.each()) {
        const matched = match(data)
        if (matched) found.push({ jobId, eventKey: keyOf(matched.enclosed) })
      }
      if (found.length === 0) break
      const tombstones = await keepKeysOut(db.pool, keysOf(found))
      const gone = await shard.remove(found.map(({ jobId }) => jobId))
      await addProgress(db.pool, erasure, { counts: { queue: gone }, tombstones, tables: [] })
      failpoint('erase-after-jobs')
      removed += gone
      if (gone === found.length) continue
      if (Date.now() > limit) {
        throw new UserError('A worker does not end a job of it. Run the same command again.')
      }
      await pause(LOOK_EVERY_MS)
    }
    await shard.forgetEvents()
  }
  return removed
}
