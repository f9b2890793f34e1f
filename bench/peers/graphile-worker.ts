import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import { type BenchEvent, eventOf } from '../events.ts'
import { insertOf, jobIdOf, servePeer } from './app.ts'

/**
 * E: `addJob` per request, and a worker with an INSERT per job and the settings of the documentation on performance.
 */
const connectionString = process.env.DATABASE_URL as string
const logger = new Logger(() => () => {})
const [mode, count = '0', tag = ''] = process.argv.slice(2)
const options = (event: BenchEvent) => ({ maxAttempts: 8, jobKey: jobIdOf(event) })

switch (mode) {
  case 'ingest': {
    const utils = await makeWorkerUtils({ connectionString, maxPoolSize: 20, logger })
    await utils.migrate()
    await servePeer((event) =>
      utils.addJob('land', event, { ...options(event), jobKeyMode: 'unsafe_dedupe' }),
    )
    break
  }
  case 'worker': {
    const pool = new pg.Pool({ connectionString, max: 20 })
    const land = async (event: unknown) => void (await pool.query(insertOf(event as BenchEvent)))
    await run({
      taskList: { land },
      noHandleSignals: true,
      preset: {
        worker: {
          connectionString,
          concurrentJobs: 24,
          maxPoolSize: 25,
          localQueue: { size: 500 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
          logger,
        },
      },
    })
    console.log('works')
    break
  }
  case 'fill': {
    const utils = await makeWorkerUtils({ connectionString, maxPoolSize: 2, logger })
    await utils.migrate()
    for (let n = 0; n < Number(count); n += 500) {
      const events = Array.from({ length: 500 }, (_, i) => eventOf(tag, n + i))
      await utils.addJobs(events.map((payload) => ({ identifier: 'land', payload, ...options(payload) })))
    }
    process.exit(0)
  }
}
