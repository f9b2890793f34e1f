import { join } from 'node:path'
import { readConsoleConfig, startConsole } from '@sluice/console'
import { writeWhole } from '@sluice/embedded'
import { readIngestConfig, startIngest } from '@sluice/ingest'
import { createDb, type Db, migrateSchema } from '@sluice/shared/db'
import { countBacklog } from '@sluice/shared/operations'
import { createQueueAdmin, type QueueLocation } from '@sluice/shared/queue'
import {
  createMetrics,
  credentialsSetting,
  errorCode,
  type Health,
  type Log,
  namesOf,
  readableSources,
  serveMetrics,
  serveProbes,
  UserError,
} from '@sluice/shared/runtime'
import { readWorkerConfig, startWorker } from '@sluice/worker'
import { ROOT, withoutEmpty, withoutGiven } from '../stores.ts'
import { banner, curlConfig, hostIn } from './banner.ts'
import { ensureSecrets, writeEnv } from './env-file.ts'
import { leftovers, recordLeft, recordServed } from './leftovers.ts'
import { type OpenedStore, openPostgres, openRedis } from './open-stores.ts'
import { credentialsForEnvFile, readStores } from './settings.ts'
import { openState } from './state.ts'

/**
 * Runs ingest, worker and console in this process. Stores that the settings do not name are started too.
 *
 * @throws UserError whose message is one line: a second start, a store that does not answer, a taken port, a missing
 * right
 */
export async function startHere(options: {
  stop: AbortController
  log: Log
  useRedis: boolean
  print(line: string): void
}): Promise<AsyncDisposable> {
  const { stop, log, print } = options
  await using stack = new AsyncDisposableStack()
  const state = stack.use(await openState(ROOT))
  const { IDWISE_SOURCES: named } = process.env
  const secrets = await ensureSecrets(state.dir, namesOf(readableSources(process.env)))
  stop.signal.addEventListener(
    'abort',
    () => {
      print('')
      print('Stopping …')
    },
    { once: true },
  )
  stack.defer(() => print('Stopped.'))

  const generated = withoutGiven(secrets, process.env)
  const given = {
    // Open requests are answered in any case, and no load balancer needs time to notice.
    SHUTDOWN_DELAY_SECONDS: '0',
    ...generated,
    ...withoutEmpty(process.env),
  }
  const { databaseUrl, redisUrl, queue, period } = readStores(given)
  const open = { stateDir: state.dir, secrets, stop, report: print }
  const postgres = stack.use(await openPostgres(databaseUrl, open))
  const redis = options.useRedis ? stack.use(await openRedis(redisUrl, queue, open)) : undefined
  const db = stack.use(createDb(postgres.url, { max: 2, statementMs: 60_000, log, name: 'start' }))
  await migrateSchema(db, { period }).catch((error) => {
    if (errorCode(error) !== '42501') throw error
    throw new UserError(
      'The user in DATABASE_URL may not create tables. Grant it, or run `npx sluice migrate` as a user who may.',
    )
  })

  const env = {
    ...given,
    DATABASE_URL_FILE: '',
    REDIS_URL_FILE: '',
    DATABASE_URL: postgres.url,
    REDIS_URL: redis?.url,
  }
  const ingestConfig = readIngestConfig(env)
  const workerConfig = readWorkerConfig(env)
  const consoleConfig = readConsoleConfig(env)
  const served = [postgres, ...(redis ? [redis] : [])].map(({ store }) => store)
  const left = await leftovers(state.dir, served)
  await recordServed(state.dir, served)
  stack.defer(() => recordWhatIsLeft(state.dir, { db, postgres, redis, location: ingestConfig.queue, log }))

  const metrics = createMetrics()
  const { probesHost, metricsPort } = ingestConfig
  let health = (): Health => ({ ready: false })
  stack.use(await serveMetrics({ host: probesHost, port: metricsPort }, metrics, () => health()))
  const worker = stack.use(await startWorker(workerConfig, { log, metrics }))
  stack.use(await serveProbes({ host: probesHost, port: workerConfig.port }, worker.health))
  const ingest = stack.use(await startIngest(ingestConfig, { log, metrics }))
  health = () => bothOf(ingest.health(), worker.health())
  const ingestUrl = `http://${hostIn(ingestConfig.host)}:${ingest.port}`
  const console = stack.use(await startConsole(consoleConfig, { log, ingestUrl }))
  await writeEnv(state.dir, {
    ...credentialsForEnvFile(env),
    DATABASE_URL: postgres.url,
    ...(redis && { REDIS_URL: redis.url }),
    QUEUE_PREFIX: queue.prefix,
    QUEUE_SHARDS: String(queue.shards),
    ...(named && { IDWISE_SOURCES: named.trim().replace(/\s+/g, ' ') }),
    INGEST_PORT: String(ingest.port),
    CONSOLE_PORT: String(console.port),
    ...('CONSOLE_CREDENTIALS' in generated && { CONSOLE_CREDENTIALS: secrets.CONSOLE_CREDENTIALS }),
  })
  const [first] = namesOf(ingestConfig.sources) as [string]
  await writeWhole(join(state.dir, 'curl'), curlConfig(ingestConfig.credentials[first]?.[0]))
  const isTerminal = process.stdout.isTTY
  const started = {
    config: ingestConfig,
    port: ingest.port,
    consoleUrl: `http://${hostIn(consoleConfig.host)}:${console.port}`,
    operator:
      'CONSOLE_CREDENTIALS' in generated ? secrets.CONSOLE_CREDENTIALS.split(':').slice(1) : undefined,
    postgres,
    redis,
    left,
    showSecret: isTerminal && credentialsSetting(first) in generated,
    isTerminal,
  }
  for (const line of banner(started)) print(line)
  return stack.move()
}

const bothOf = (ingest: Health, worker: Health): Health => ({
  ready: ingest.ready && worker.ready,
  ingest,
  worker,
})

/** Records how many events the stores still hold, for a later start on other stores. */
async function recordWhatIsLeft(
  stateDir: string,
  stores: {
    db: Db
    postgres: OpenedStore
    redis: OpenedStore | undefined
    location: QueueLocation | undefined
    log: Log
  },
): Promise<void> {
  const { db, postgres, redis, location, log } = stores
  try {
    await using queue = location && createQueueAdmin(location, log)
    const left = await countBacklog({ db, queue }, 1_000)
    await recordLeft(stateDir, postgres.store, left.inbox)
    if (!redis) return
    if (left.queue !== null) await recordLeft(stateDir, redis.store, left.queue)
    // It answered neither at the start nor now, so REDIS_URL was probably wrong.
    else if (!redis.answered) await recordLeft(stateDir, redis.store, 0)
  } catch {
    // The store stays recorded as served, so the next start says that it may still hold events.
  }
}
