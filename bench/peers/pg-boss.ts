import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { type BenchEvent, eventOf } from '../events.ts'
import { insertManyOf, insertOf, jobIdOf, servePeer } from './app.ts'

/**
 * D: `send` per request, and a worker that fetches 100 jobs at a time, and again at once if the batch was full. It
 * makes an INSERT per job. `batched` fetches 500 at a time and makes one INSERT.
 */
const NAME = 'events'
const DATABASE_URL = process.env.DATABASE_URL as string
const OPTIONS = { retryLimit: 7, retryBackoff: true }

const [mode, count = '0', tag = ''] = process.argv.slice(2)
const boss = new PgBoss({ connectionString: DATABASE_URL, max: 20 })
boss.on('error', (error) => console.error(error.message))
await boss.start()
await boss.createQueue(NAME)

switch (mode) {
  case 'ingest':
    await servePeer((event) => boss.send(NAME, event, { ...OPTIONS, id: uuidOf(event) }))
    break
  case 'worker':
  case 'batched': {
    const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 20 })
    const batchSize = mode === 'worker' ? 100 : 500
    await boss.work<BenchEvent>(
      NAME,
      { batchSize, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
      async (jobs) => {
        if (mode === 'batched') await pool.query(insertManyOf(jobs.map(({ data }) => data)))
        else await Promise.all(jobs.map(({ data }) => pool.query(insertOf(data))))
      },
    )
    console.log('works')
    break
  }
  case 'fill':
    for (let n = 0; n < Number(count); n += 500) {
      const events = Array.from({ length: 500 }, (_, i) => eventOf(tag, n + i))
      await boss.insert(
        NAME,
        events.map((data) => ({ data, ...OPTIONS, id: uuidOf(data) })),
      )
    }
    process.exit(0)
}

/** A job's id must be a UUID here. */
function uuidOf(event: BenchEvent): string {
  return jobIdOf(event).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')
}
