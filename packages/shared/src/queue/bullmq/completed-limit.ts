import type { RedisClient } from '../connection.ts'
import { MOST_COMPLETED } from './options.ts'

const ASK_EVERY_MS = 60_000
/** Completed jobs may have this share of the memory that Redis is limited to. */
const SHARE = 0.15
/** What one takes whose body was large: half of that where it was small. */
const BYTES_PER_JOB = 900

/**
 * How many completed jobs a shard may keep: less where Redis has little memory. The limit of Redis is asked for beside
 * the flow of jobs; until it is known, and where this user may not ask, only the count holds.
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
