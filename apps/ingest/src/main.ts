import {
  allocateYoung,
  armFailpoint,
  createLog,
  createMetrics,
  runUntilSignal,
  serveMetrics,
} from '@sluice/shared/runtime'
import { readIngestConfig } from './config.ts'
import { startIngest } from './ingest.ts'

allocateYoung()
armFailpoint(process.env.SLUICE_FAILPOINT)
const log = createLog('ingest', process.env.LOG_LEVEL || 'info')

await runUntilSignal(
  async () => {
    const config = readIngestConfig(process.env)
    await using stack = new AsyncDisposableStack()
    const metrics = createMetrics()
    let health = () => ({ ready: false })
    const { probesHost: host, metricsPort: port } = config
    stack.use(await serveMetrics({ host, port }, metrics, () => health()))
    health = stack.use(await startIngest(config, { log, metrics })).health
    return stack.move()
  },
  { log, graceMs: 150_000 },
)
