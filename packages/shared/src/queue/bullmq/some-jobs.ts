import type { RedisClient } from '../connection.ts'
import { FIELD, queueKeys } from './keys.ts'

/** A job as it lies in the queue. */
export type QueuedJob = {
  readonly jobId: string
  /** JSON text; empty if the body of a completed job was removed. */
  readonly data: string
  readonly isCompleted: boolean
  /** Tries that counted. */
  readonly attempts: number
}

/** Some jobs of one shard, to be shown. */
export type SomeJobs = {
  /** The jobs that have waited longest, at most so many. @returns `isAll`: no other job waits */
  waiting(limit: number): Promise<{ jobs: QueuedJob[]; isAll: boolean }>
  /** Those of these jobs that are in the queue. */
  byId(jobIds: readonly string[]): Promise<QueuedJob[]>
}

export function createSomeJobs(client: RedisClient, prefix: string): SomeJobs {
  const { wait, active, delayed, failed, job } = queueKeys(prefix)

  async function byId(jobIds: readonly string[]): Promise<QueuedJob[]> {
    const found = await Promise.all(
      jobIds.map(async (jobId): Promise<QueuedJob[]> => {
        const { data, finishedOn, attemptsMade } = FIELD
        const [text, finished, attempts] = await client
          .hmget(job(jobId), data, finishedOn, attemptsMade)
          // Not of a hash: no job.
          .catch(() => [])
        if (typeof text !== 'string') return []
        return [{ jobId, data: text, isCompleted: Boolean(finished), attempts: Number(attempts ?? 0) }]
      }),
    )
    return found.flat()
  }

  return {
    byId,
    async waiting(limit) {
      const lists = await Promise.all([
        client.lrange(active, -limit - 1, -1),
        client.lrange(wait, -limit - 1, -1),
        client.zrange(delayed, 0, String(limit)),
        client.zrange(failed, 0, String(limit)),
      ])
      // New ones are on the left of a list.
      const [ofActive, ofWait, ...others] = lists.map((ids) => ids.map(String))
      const ids = [...(ofActive ?? []).reverse(), ...(ofWait ?? []).reverse(), ...others.flat()]
      const jobs = await byId(ids.slice(0, limit))
      return { jobs: jobs.filter(({ isCompleted }) => !isCompleted), isAll: ids.length <= limit }
    },
  }
}
