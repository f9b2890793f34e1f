import {
  type BackendFactory,
  createRedisBackend,
  RedisConnection,
  type RedisQueueBackend,
  raw2NextJobData,
} from 'bullmq'
import { backoffMs } from '../../runtime/backoff.ts'
import { pause } from '../../runtime/every.ts'
import type { JobClaimer } from './claim.ts'

/** How long to wait after Redis has refused: twice as long each time, until it allows the call. */
const REFUSED = { baseMs: 200, maxMs: 10_000 }

/**
 * BullMQ's Redis backend for a worker, with three differences. A job that a batch has completed is not completed again:
 * only the next job is fetched. If Redis is full, our script claims the next job, since BullMQ's needs memory. While
 * Redis refuses, calls slow down: BullMQ would repeat them at once.
 *
 * @param deps.completed ids of completed jobs; each is removed when BullMQ completes it
 * @param deps.closing ends every wait
 */
export function createWorkerBackend({
  completed,
  claimer,
  closing,
}: {
  completed: Set<string>
  claimer: JobClaimer
  closing: AbortSignal
}): BackendFactory<RedisQueueBackend> {
  // BullMQ assumes this version if it does not ask. It lets an older Redis block only for whole seconds.
  RedisConnection.minimumVersion = '6.2.0'
  return (name, opts, flags) => {
    // The checks report the version of Redis, also if this user may not ask for it.
    const backend = createRedisBackend(name, { ...opts, skipVersionCheck: true }, flags)
    const fetchOne = backend.moveToActive.bind(backend)
    const completeOne = backend.moveToCompleted.bind(backend)
    backend.moveToActive = slowedDown(closing, (token, workerName) =>
      fetchOne(token, workerName).catch(async (error: Error) => {
        if (!/\bOOM\b/.test(error.message)) throw error
        const [job] = await claimer.claim(token, 1)
        return raw2NextJobData(job ? [await claimer.fieldsOf(job.id), job.id, 0, 0] : [null, '', 0, 0])
      }),
    )
    backend.waitForJob = slowedDown(closing, backend.waitForJob.bind(backend))
    backend.moveToCompleted = async (job, value, keep, token, fetchNext) => {
      if (!completed.delete(String(job.id))) return completeOne(job, value, keep, token, fetchNext)
      const finishedOn = Date.now()
      // A failure to fetch the next job must not look like a failure to complete this one.
      const result = fetchNext ? await backend.moveToActive(token).catch(() => undefined) : undefined
      return { result, finishedOn }
    }
    return backend
  }
}

/** Rejects only after a pause, which grows from one failure to the next. */
function slowedDown<Args extends unknown[], Result>(
  closing: AbortSignal,
  work: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  let failures = 0
  return async (...args) => {
    try {
      const result = await work(...args)
      failures = 0
      return result
    } catch (error) {
      await pause(backoffMs(failures++, REFUSED), closing)
      throw error
    }
  }
}
