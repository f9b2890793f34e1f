import { createDb } from '@sluice/shared/db'
import {
  armFailpoint,
  createLog,
  createMetrics,
  lowerPriority,
  runUntilSignal,
  serveMetrics,
  serveProbes,
} from '@sluice/shared/runtime'
import { readSchedulerConfig } from './config.ts'
import { startScheduler } from './scheduler.ts'

// The duties can wait; the answers of an ingest on the same machine cannot.
lowerPriority()
armFailpoint(process.env.SLUICE_FAILPOINT)
const log = createLog('scheduler', process.env.LOG_LEVEL || 'info')

await runUntilSignal(
  async () => {
    const config = readSchedulerConfig(process.env)
    await using stack = new AsyncDisposableStack()
    const { probesHost: host, port, metricsPort, databaseUrl, queue, retention, alerts, sources } = config
    const metrics = createMetrics()
    const waited = (seconds: number) => metrics.poolWait.observe(seconds)
    const db = stack.use(
      createDb(databaseUrl, { max: 4, statementMs: 10_000, log, name: 'scheduler', waited }),
    )
    metrics.watchPool(db.pool)
    const { health } = stack.use(startScheduler({ db, queue, retention, alerts, sources, metrics, log }))
    stack.use(await serveMetrics({ host, port: metricsPort }, metrics, health))
    stack.use(await serveProbes({ host, port }, health, 'SCHEDULER_PORT'))
    log.info({ queue: queue ? 'redis' : 'inbox' }, 'scheduler does its duties')
    return stack.move()
  },
  { log, graceMs: 25_000 },
)
