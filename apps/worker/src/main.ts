import {
  allocateYoung,
  armFailpoint,
  createLog,
  createMetrics,
  lowerPriority,
  runUntilSignal,
  serveMetrics,
  serveProbes,
} from '@sluice/shared/runtime'
import { readWorkerConfig } from './config.ts'
import { startWorker } from './worker.ts'

allocateYoung()
// Rows can wait; the answers of an ingest on the same machine cannot.
lowerPriority()
armFailpoint(process.env.SLUICE_FAILPOINT)
const log = createLog('worker', process.env.LOG_LEVEL || 'info')

await runUntilSignal(
  async () => {
    const config = readWorkerConfig(process.env)
    await using stack = new AsyncDisposableStack()
    const metrics = createMetrics()
    const { probesHost: host, port, metricsPort } = config
    let health = () => ({ ready: false })
    stack.use(await serveMetrics({ host, port: metricsPort }, metrics, () => health()))
    stack.use(await serveProbes({ host, port }, () => health()))
    const worker = stack.use(await startWorker(config, { log, metrics }))
    health = worker.health
    return stack.move()
  },
  { log, graceMs: 25_000 },
)
