import {
  armFailpoint,
  createLog,
  createMetrics,
  lowerPriority,
  runUntilSignal,
  serveMetrics,
  watchSettings,
} from '@sluice/shared/runtime'
import { changeableSettings, readConsoleConfig } from './config.ts'
import { startConsole } from './console.ts'

// Pages can wait; the answers of an ingest on the same machine cannot.
lowerPriority()
armFailpoint(process.env.SLUICE_FAILPOINT)
const log = createLog('console', process.env.LOG_LEVEL || 'info')

await runUntilSignal(
  async () => {
    const config = readConsoleConfig(process.env)
    await using stack = new AsyncDisposableStack()
    const console = stack.use(await startConsole(config, { log }))
    stack.use(
      watchSettings(process.env, changeableSettings, {
        changed: ({ CONSOLE_CREDENTIALS: credentials = [] }) => console.useCredentials(credentials),
        log,
      }),
    )
    const { probesHost: host, metricsPort: port } = config
    stack.use(await serveMetrics({ host, port }, createMetrics(), console.health))
    return stack.move()
  },
  { log, graceMs: 25_000 },
)
