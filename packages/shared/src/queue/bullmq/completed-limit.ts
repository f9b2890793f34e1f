import type { RedisClient } from '../connection.ts'
import { MOST_COMPLETED } from './options.ts'

const ASK_EVERY_MS = 60_000
/** The share of Redis' memory limit that completed jobs may use. */
const SHARE = 0.15
/** The size of a completed job with a large body; a small one takes half. */
const BYTES_PER_JOB = 900

/**
 * How many completed jobs a shard may keep: fewer if Redis has little memory. Redis is asked for its limit outside of
 * the flow of jobs. Until it has answered, and if this user may not ask, `MOST_COMPLETED` holds.
 */
export function createCompletedLimit(client: RedisClient, shards: number): () => number {
  let most = MOST_COMPLETED
  let askedAt = Number.NEGATIVE_INFINITY
  async function ask(): Promise<void> {
    const bytes = Number(/^maxmemory:(\d+)/m.exec(await client.info('memory'))?.[1] ?? 0)
    const room = bytes > 0 ? Math.floor((bytes * SHARE) / BYTES_PER_JOB / shards) : MOST_COMPLETED
    most = Math.min(MOST_COMPLETED, room)
  }
  return () => {
    if (performance.now() - askedAt > ASK_EVERY_MS) {
      askedAt = performance.now()
      ask().catch(() => {})
    }
    return most
  }
}
