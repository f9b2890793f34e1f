import type { DefaultJobOptions } from 'bullmq'
import { ATTEMPTS, BACKOFF, MAX_CRASHES } from '../../disposition.ts'
import { REDELIVERY_WINDOW_MS } from '../../idwise/schedule.ts'

/**
 * Options of every job. The worker adds them when it reads a job: stored with each job they would take a quarter of its
 * room in Redis.
 */
export const JOB_OPTIONS = {
  attempts: ATTEMPTS,
  backoff: { type: 'exponential', delay: BACKOFF.baseMs, jitter: 0.5 },
  // Completed jobs stay as long as IDWise may redeliver them, so that a redelivery finds its job. Seconds.
  removeOnComplete: { age: REDELIVERY_WINDOW_MS / 1_000 },
  // Only the sweeper removes failed jobs, after it has written their dead letters.
  removeOnFail: false,
  stackTraceLimit: 2,
} satisfies DefaultJobOptions

/** How long the body of a completed job stays, ms: long enough to notice that Postgres has lost what had landed. */
export const BODIES_STAY_MS = 600_000

/** The newest completed jobs of a shard that keep their bodies, however fast they come. */
export const MOST_BODIES = 100_000

/** The newest completed jobs of a shard that stay: at high rates these are less than an hour's. */
export const MOST_COMPLETED = 200_000

/** BullMQ limits its event stream to this length; Sluice does not read the stream. */
export const EVENT_STREAM_LENGTH = 1_000

export const WORKER_OPTIONS = {
  // Another worker takes over a dead worker's jobs after 15 to 25 s. If a live worker loses a lock (its event loop was
  // blocked), the job runs twice, and the event's key makes that harmless.
  lockDuration: 15_000,
  stalledInterval: 5_000,
  maxStalledCount: MAX_CRASHES,
  drainDelay: 5,
}
