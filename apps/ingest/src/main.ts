import {
  allocateYoung,
  armFailpoint,
  createLog,
  createMetrics,
  runUntilSignal,
  serveMetrics,
  watchSettings,
} from '@sluice/shared/runtime'
import { credentialsFrom, ingestCredentials, readIngestConfig } from './config.ts'
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
    const ingest = stack.use(await startIngest(config, { log, metrics }))
    health = ingest.health
    const changed = (settings: Parameters<typeof credentialsFrom>[0]) =>
      ingest.useCredentials(credentialsFrom(settings))
    stack.use(watchSettings(process.env, ingestCredentials, { changed, log }))
    return stack.move()
  },
  { log, graceMs: 150_000 },
)
