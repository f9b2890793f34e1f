import { join } from 'node:path'
import { writeWhole } from '@sluice/embedded'
import { readIngestConfig, startIngest } from '@sluice/ingest'
import { createDb, type Db, inboxBacklog, migrateSchema } from '@sluice/shared/db'
import { createQueueAdmin } from '@sluice/shared/queue'
import {
  createMetrics,
  errorCode,
  type Health,
  type Log,
  serveMetrics,
  serveProbes,
  UserError,
} from '@sluice/shared/runtime'
import { readWorkerConfig, startWorker } from '@sluice/worker'
import { ROOT, withoutEmpty, withoutGiven } from '../stores.ts'
import { banner, curlConfig } from './banner.ts'
import { ensureSecrets, writeEnv } from './env-file.ts'
import { leftovers, recordLeft, recordServed } from './leftovers.ts'
import { type OpenedStore, openPostgres, openRedis, whenRedisAnswers } from './open-stores.ts'
import { credentialsIn, readStores } from './settings.ts'
import { openState } from './state.ts'

/**
 * Runs ingest and worker in this process, on the stores that the settings name or else on its own.
 *
 * @throws UserError in one line: a second start, a store that does not answer, a taken port, a missing right.
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
  const secrets = await ensureSecrets(state.dir)
  stop.signal.addEventListener(
    'abort',
    () => {
      print('')
      print('Stopping …')
    },
    { once: true },
  )
  stack.defer(() => print('Stopped.'))

  const madeUp = withoutGiven(secrets, process.env)
  const given = {
    // What has begun is answered all the same; there is no load balancer to wait for.
    SHUTDOWN_DELAY_SECONDS: '0',
    ...madeUp,
    ...withoutEmpty(process.env),
  }
  const { databaseUrl, redisUrl, queue } = readStores(given)
  const open = { stateDir: state.dir, secrets, stop, report: print }
  const postgres = stack.use(await openPostgres(databaseUrl, open))
  const redis = options.useRedis ? stack.use(await openRedis(redisUrl, queue, open)) : undefined
  const db = stack.use(createDb(postgres.url, { max: 2, statementMs: 60_000, log, name: 'start' }))
  await migrateSchema(db).catch((error) => {
    if (errorCode(error) !== '42501') throw error
    throw new UserError(
      'The user in DATABASE_URL may not create tables. Grant it, or run `sluice migrate` as a user who may.',
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
  const served = [postgres, ...(redis ? [redis] : [])]
  const left = await leftovers(
    state.dir,
    served.map(({ store }) => store),
  )
  await recordServed(
    state.dir,
    served.filter(({ answers }) => answers).map(({ store }) => store),
  )
  stack.defer(() => recordWhatIsLeft(state.dir, { db, postgres, redis, queue: ingestConfig.queue, log }))
  // Ends before what is left is noted in the same file.
  if (redis && !redis.answers) {
    stack.use(whenRedisAnswers(redis.url, () => recordServed(state.dir, [redis.store])))
  }

  const metrics = createMetrics()
  const { probesHost, metricsPort } = ingestConfig
  let health = (): Health => ({ ready: false })
  stack.use(await serveMetrics({ host: probesHost, port: metricsPort }, metrics, () => health()))
  const worker = stack.use(await startWorker(workerConfig, { log, metrics }))
  stack.use(await serveProbes({ host: probesHost, port: workerConfig.port }, worker.health))
  const ingest = stack.use(await startIngest(ingestConfig, { log, metrics }))
  health = () => bothOf(ingest.health(), worker.health())
  await writeEnv(state.dir, {
    ...credentialsIn(env),
    DATABASE_URL: postgres.url,
    ...(redis && { REDIS_URL: redis.url }),
    QUEUE_PREFIX: queue.prefix,
    QUEUE_SHARDS: String(queue.shards),
    INGEST_PORT: String(ingest.port),
  })
  await writeWhole(join(state.dir, 'curl'), curlConfig(ingestConfig.credentials.live[0]))
  const showSecret = process.stdout.isTTY && 'IDWISE_LIVE_CREDENTIALS' in madeUp
  const told = { config: ingestConfig, port: ingest.port, postgres, redis, left, showSecret }
  for (const line of banner(told)) print(line)
  return stack.move()
}

const bothOf = (ingest: Health, worker: Health): Health => ({
  ready: ingest.ready && worker.ready,
  ingest,
  worker,
})

/** So that a later start on other stores can tell that events still wait in these. */
async function recordWhatIsLeft(
  stateDir: string,
  {
    db,
    postgres,
    redis,
    queue,
    log,
  }: {
    db: Db
    postgres: OpenedStore
    redis: OpenedStore | undefined
    queue: { url: string; prefix: string; shards: number } | undefined
    log: Log
  },
): Promise<void> {
  try {
    await recordLeft(stateDir, postgres.store, (await inboxBacklog(db.pool)).waiting)
    if (!redis || !queue) return
    await using admin = createQueueAdmin(queue, log)
    if (!(await admin.ready(1_000))) return
    const { waiting, active, delayed, failed } = await admin.counts()
    await recordLeft(stateDir, redis.store, waiting + active + delayed + failed)
  } catch {
    // Unknown then, which the next start says.
  }
}
