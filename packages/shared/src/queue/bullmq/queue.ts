import { Queue } from 'bullmq'
import type { RedisClient } from '../connection.ts'
import { FIELD, queueKeys } from './keys.ts'
import { EVENT_STREAM_LENGTH, JOB_OPTIONS } from './options.ts'

export type QueueCounts = {
  waiting: number
  active: number
  delayed: number
  failed: number
  completed: number
}

const REMOVE_PAGE = 1_000

/** BullMQ's own view of one shard's queue, which tests use as well. */
export function openQueue(client: RedisClient, prefix: string): Queue {
  const queue = new Queue(queueKeys(prefix).name, {
    connection: client,
    prefix,
    skipWaitingForReady: true,
    skipVersionCheck: true,
    streams: { events: { maxLen: EVENT_STREAM_LENGTH } },
  })
  queue.on('error', () => {})
  return queue
}

export async function countJobs(queue: Queue): Promise<QueueCounts> {
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed', 'completed')
  const { waiting = 0, active = 0, delayed = 0, failed = 0, completed = 0 } = counts
  return { waiting, active, delayed, failed, completed }
}

const DELAYED_READ = 50

/** When the job was added that has waited longest, ms since 1970; undefined if none waits. */
export async function oldestJob(client: RedisClient, prefix: string): Promise<number | undefined> {
  const { wait, delayed, job } = queueKeys(prefix)
  // Those that are due first have not waited longest: more than one is looked at.
  const ids = [await client.lindex(wait, -1), ...(await client.zrange(delayed, 0, String(DELAYED_READ - 1)))]
  const added = await Promise.all(ids.map((id) => (id ? client.hget(job(id), FIELD.timestamp) : null)))
  const times = added.flatMap((time) => (time ? Number(time) : []))
  return times.length > 0 ? Math.min(...times) : undefined
}

/** Removes completed jobs that are older than jobs may become. */
export async function removeOldJobs(queue: Queue): Promise<void> {
  const { age } = JOB_OPTIONS.removeOnComplete
  for (;;) {
    const removed = await queue.clean(age * 1_000, REMOVE_PAGE, 'completed')
    if (removed.length < REMOVE_PAGE) return
  }
}
