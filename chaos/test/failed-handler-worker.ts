import { createDb, landJobs, writeDeadLetters } from '@sluice/shared/db'
import { readEnvelope } from '@sluice/shared/envelope'
import { queueKeys, shardPrefix } from '@sluice/shared/queue'
import { createLog, describeError } from '@sluice/shared/runtime'
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'

/**
 * A worker as many people write it, in which the check must find the fault: a failed job is removed from the queue and
 * becomes a dead letter in a `failed` handler. Every tenth event fails. The first process is killed while several dead
 * letters are not written yet. (If only one were missing, the sender might send it again, and it would land.)
 */
const { DATABASE_URL = '', REDIS_URL = '', QUEUE_PREFIX = '' } = process.env
const log = createLog('worker', 'info')
const db = createDb(DATABASE_URL, { max: 5, statementMs: 10_000, log, name: 'worker' })
const redis = new Redis(REDIS_URL, { maxRetriesPerRequest: null })
const keys = queueKeys(shardPrefix(QUEUE_PREFIX, 0))
// This worker does not write the counts of redeliveries, and the check would wait for them.
setInterval(() => void redis.del(keys.redeliveries), 200)
let handled = 0
let failures = 0

const worker = new Worker(
  keys.name,
  async (job) => {
    if (++handled % 10 === 0) throw new Error('this one fails')
    const envelope = readEnvelope(job.data)
    if (!envelope) throw new Error('no envelope')
    const delivery = { jobId: String(job.id), envelope, via: 'redis', duplicates: 0, replayOf: null } as const
    await db.landingTransaction((connection, now) => landJobs(connection, [delivery], { now }))
  },
  {
    connection: redis,
    prefix: keys.prefix,
    concurrency: 10,
    removeOnFail: { count: 0 },
  },
)
worker.on('failed', async (job, error) => {
  if (!job) return
  const nth = ++failures
  if (nth > 2 && !(await redis.exists('killed'))) {
    if (nth < 10) return
    await redis.set('killed', 'once')
    process.kill(process.pid, 'SIGKILL')
  }
  await db.landingTransaction((connection) =>
    writeDeadLetters(connection, [
      {
        jobId: String(job.id),
        reason: 'attempts_exhausted',
        error: describeError(error),
        attempts: 1,
        envelope: JSON.stringify(job.data),
      },
    ]),
  )
})
await worker.waitUntilReady()
log.info('worker takes events')
