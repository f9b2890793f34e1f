import type { Queue } from 'bullmq'
import { failpoint } from '../../runtime/failpoint.ts'
import type { Log } from '../../runtime/log.ts'
import type { RedisClient } from '../connection.ts'
import { FIELD, isStalledFailure, queueKeys } from './keys.ts'

/** A job that BullMQ failed itself, usually because its worker crashed too often while the job was active. */
export type FailedJob = {
  readonly jobId: string
  readonly data: string
  readonly reason: string
  /** Whether the reason is that it has stalled too often. */
  readonly isStalled: boolean
  readonly attempts: number
}

const PAGE = 100

/** Calls `handle` with each failed job of one shard, and removes the job afterwards. @returns how many were removed */
export async function sweepFailedJobs(
  client: RedisClient,
  { prefix, queue }: { prefix: string; queue: Queue },
  handle: (job: FailedJob) => Promise<void>,
  log: Log,
): Promise<number> {
  const { failed, job } = queueKeys(prefix)
  let swept = 0
  for (const jobId of await client.zrange(failed, 0, String(PAGE - 1))) {
    try {
      // As a hash: BullMQ cannot read a job whose data is no JSON.
      await handle(failedJob(jobId, await client.hgetall(job(jobId))))
      failpoint('sweeper-after-insert')
      await queue.remove(jobId)
      // BullMQ leaves the id of a job whose hash is gone.
      await client.zrem(failed, jobId)
      swept++
    } catch (error) {
      log.warn({ err: error }, 'a failed job was not swept; the others are')
    }
  }
  return swept
}

function failedJob(jobId: string, fields: Readonly<Record<string, string>>): FailedJob {
  const reason = fields[FIELD.failedReason] ?? ''
  return {
    jobId,
    data: fields[FIELD.data] ?? '',
    reason,
    isStalled: isStalledFailure(reason),
    attempts: Number(fields[FIELD.attemptsMade] ?? 0),
  }
}
