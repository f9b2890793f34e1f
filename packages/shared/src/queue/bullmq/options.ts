import type { DefaultJobOptions } from 'bullmq'
import { ATTEMPTS, BACKOFF, MAX_CRASHES } from '../../disposition.ts'

/**
 * Job options, all in one place. They are the same for every job, so the worker puts them on as it reads one: stored
 * with each job they would take a quarter of its room in Redis.
 */
export const JOB_OPTIONS = {
  attempts: ATTEMPTS,
  backoff: { type: 'exponential', delay: BACKOFF.baseMs, jitter: 0.5 },
  // Finished jobs stay an hour, longer than IDWise redelivers, so that redeliveries collapse here.
  removeOnComplete: { age: 3_600 },
  // The failed set is a net: only the sweeper takes from it, once the dead letter is written.
  removeOnFail: false,
  stackTraceLimit: 2,
} satisfies DefaultJobOptions

/** Completed jobs of a shard that stay, the newest ones: at high rates less than an hour's. */
export const MOST_COMPLETED = 200_000

/** BullMQ caps its event stream at this length; nothing of ours reads it. */
export const EVENT_STREAM_LENGTH = 1_000

export const WORKER_OPTIONS = {
  // How soon a dead worker's jobs are taken over: 15 to 25 s. A lock lost by a worker that lives (a blocked event
  // loop) runs the job twice, which the event's key makes harmless.
  lockDuration: 15_000,
  stalledInterval: 5_000,
  maxStalledCount: MAX_CRASHES,
  drainDelay: 5,
}

/** Each shard is a queue of its own under a hash tag of its own, so that a Redis Cluster can spread them. */
export const QUEUE_NAME = 'events'
export const shardPrefix = (prefix: string, shard: number) => `{${prefix}-${shard}}`

/**
 * The end of a key that never exists. A script that names it is refused as a whole while its slot moves between nodes of
 * a cluster: it would find some of its keys here and miss others. Deleting it makes the first write of a script need no
 * memory, and a Redis that is full lets a script go on that has written.
 */
export const NO_KEY = 'none'
