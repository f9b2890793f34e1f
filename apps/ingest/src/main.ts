import {
  allocateYoung,
  armFailpoint,
  createLog,
  createMetrics,
  runUntilSignal,
  serveMetrics,
  watchSettings,
} from '@sluice/shared/runtime'
import { readIngestConfig } from './config.ts'
import { startIngest } from './ingest.ts'
import { credentialsFrom, credentialsShape } from './source-settings.ts'

allocateYoung()
armFailpoint(process.env.SLUICE_FAILPOINT)
const log = createLog('ingest', process.env.LOG_LEVEL || 'info')

await runUntilSignal(
  async () => {
    const config = readIngestConfig(process.env)
    await using stack = new AsyncDisposableStack()
    const metrics = createMetrics()
    let health = () => ({ ready: false })
    const { probesHost: host, metricsPort: port, sources } = config
    stack.use(await serveMetrics({ host, port }, metrics, () => health()))
    const ingest = stack.use(await startIngest(config, { log, metrics }))
    health = ingest.health
    const changed = (settings: Parameters<typeof credentialsFrom>[1]) =>
      ingest.useCredentials(credentialsFrom(sources, settings))
    stack.use(watchSettings(process.env, credentialsShape(sources), { changed, log }))
    return stack.move()
  },
  { log, graceMs: 150_000 },
)
