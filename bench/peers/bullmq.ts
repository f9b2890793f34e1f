import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import pg from 'pg'
import { type BenchEvent, eventOf } from '../events.ts'
import { insertOf, jobIdOf, servePeer } from './app.ts'

/**
 * C: as in a textbook. `queue.add` per request, and a worker with an INSERT per job. `noop` is a worker that does
 * nothing, to see how fast BullMQ is.
 */
const REDIS_URL = process.env.REDIS_URL as string
const NAME = 'textbook'
const JOB = { attempts: 8, backoff: { type: 'exponential', delay: 1_000 }, removeOnComplete: { age: 3_600 } }

const [mode, count = '0', tag = ''] = process.argv.slice(2)
const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: mode === 'ingest' ? 1 : null })

switch (mode) {
  case 'ingest': {
    const queue = new Queue<BenchEvent>(NAME, { connection, defaultJobOptions: JOB })
    await servePeer((event) => queue.add('event', event, { jobId: jobIdOf(event) }))
    break
  }
  case 'worker': {
    const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL as string, max: 20 })
    const worker = new Worker<BenchEvent>(NAME, async ({ data }) => void (await pool.query(insertOf(data))), {
      connection,
      concurrency: 50,
    })
    await worker.waitUntilReady()
    console.log('works')
    break
  }
  case 'noop': {
    const worker = new Worker(NAME, async () => {}, { connection, concurrency: 200 })
    await worker.waitUntilReady()
    console.log('works')
    break
  }
  case 'fill': {
    const queue = new Queue<BenchEvent>(NAME, { connection, defaultJobOptions: JOB })
    for (let n = 0; n < Number(count); n += 500) {
      const events = Array.from({ length: 500 }, (_, i) => eventOf(tag, n + i))
      await queue.addBulk(events.map((data) => ({ name: 'event', data, opts: { jobId: jobIdOf(data) } })))
    }
    process.exit(0)
  }
}
