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

/** How long to wait before Redis is asked again that has refused: twice as long each time, until it allows it. */
const REFUSED = { baseMs: 200, maxMs: 10_000 }

/**
 * BullMQ's Redis backend for a worker, which leaves alone what is completed already, and only fetches the next job; takes
 * it by our own script where Redis is full; and slows down while Redis refuses: BullMQ would ask again at once.
 *
 * @param deps.completed ids; each is taken out when its turn comes
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
  // What BullMQ takes a Redis for whose version it does not ask: an older one could not wait for less than a second.
  RedisConnection.minimumVersion = '6.2.0'
  return (name, opts, flags) => {
    // Which version of Redis it is the checks tell, and they say so where this user may not ask.
    const backend = createRedisBackend(name, { ...opts, skipVersionCheck: true }, flags)
    const fetchOne = backend.moveToActive.bind(backend)
    const completeOne = backend.moveToCompleted.bind(backend)
    backend.moveToActive = paced(closing, (token, workerName) =>
      fetchOne(token, workerName).catch(async (error: Error) => {
        if (!/\bOOM\b/.test(error.message)) throw error
        const [job] = await claimer.take(token, 1)
        return raw2NextJobData(job ? [await claimer.fieldsOf(job.id), job.id, 0, 0] : [null, '', 0, 0])
      }),
    )
    backend.waitForJob = paced(closing, backend.waitForJob.bind(backend))
    backend.moveToCompleted = async (job, value, keep, token, fetchNext) => {
      if (!completed.delete(String(job.id))) return completeOne(job, value, keep, token, fetchNext)
      const finishedOn = Date.now()
      // Whatever goes wrong with the next one must not look as if this one were not completed.
      const result = fetchNext ? await backend.moveToActive(token).catch(() => undefined) : undefined
      return { result, finishedOn }
    }
    return backend
  }
}

/** Lets a failure be known only after a while, which grows from one to the next. */
function paced<Args extends unknown[], Result>(
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
