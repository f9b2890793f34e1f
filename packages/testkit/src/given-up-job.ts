import { FIELD, queueKeys } from '@sluice/shared/queue'
import { UnrecoverableError, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { eventually } from './eventually.ts'

/** Lets a waiting job stall until BullMQ gives it up and fails it. No worker may run meanwhile. */
export async function giveUpJob(redisUrl: string, prefix: string, jobId: string): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const connection = stack.adopt(new Redis(redisUrl, { maxRetriesPerRequest: null }), (redis) =>
    redis.disconnect(),
  )
  const keys = queueKeys(prefix)
  const openWorker = (limits: {
    lockDuration?: number
    stalledInterval?: number
    maxStalledCount?: number
  }) =>
    stack.adopt(new Worker(keys.name, null, { connection, prefix, autorun: false, ...limits }), (worker) =>
      worker.close(true),
    )
  if ((await connection.lrem(keys.wait, 0, jobId)) !== 1) throw new Error(`${jobId} does not wait`)
  // It is the next one.
  await connection.rpush(keys.wait, jobId)
  const crashing = openWorker({ lockDuration: 1, stalledInterval: 1, maxStalledCount: 0 })
  await crashing.getNextJob('crashing')
  await crashing.startStalledCheckTimer()
  await eventually(async () => (await connection.hexists(keys.job(jobId), FIELD.deferredFailure)) === 1)
  const job = await openWorker({}).getNextJob('failing')
  if (job?.id !== jobId) throw new Error(`${job?.id} came instead of ${jobId}`)
  await job.moveToFailed(new UnrecoverableError(job.deferredFailure), 'failing')
}
