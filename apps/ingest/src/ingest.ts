import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import {
  announceProcess,
  checkNewSession,
  checkProcesses,
  createDb,
  type Db,
  describeProcess,
  schemaState,
} from '@sluice/shared/db'
import { createQueueProducer, createRedisCheck } from '@sluice/shared/queue'
import {
  blockList,
  describeError,
  every,
  type Health,
  type Log,
  listenError,
  type Metrics,
  pause,
  startStoreChecks,
} from '@sluice/shared/runtime'
import type { FastifyInstance } from 'fastify'
import { createAccept } from './accept.ts'
import { createApp } from './app.ts'
import { createAuthenticate } from './authenticate.ts'
import { createClock } from './clock.ts'
import type { IngestConfig } from './config.ts'
import { createEnqueue } from './enqueue.ts'
import { createInboxWriter } from './inbox-writer.ts'
import { createSummary } from './summary.ts'

const CHECK_EVERY_MS = 2_000
const REDIS_BOOT_WAIT_MS = 3_000
const CLOSE_LIMIT_MS = 10_000

/**
 * Opens the door: stores first, then the listener. It starts whichever store is down, and uses it once it is up.
 *
 * @param deps.checkEveryMs how often the stores' settings are looked at, every minute by default
 * @returns the port it listens on; disposing drains requests, then closes the stores.
 */
export async function startIngest(
  config: IngestConfig,
  { log, metrics, checkEveryMs }: { log: Log; metrics: Metrics; checkEveryMs?: number },
): Promise<AsyncDisposable & { port: number; health(): Health }> {
  await using stack = new AsyncDisposableStack()
  const db = stack.use(
    createDb(config.databaseUrl, { max: 5, statementMs: 1_200, connectMs: 1_200, log, name: 'ingest' }),
  )
  const queue = config.queue && stack.use(createQueueProducer(config.queue, log))
  const clock = createClock()
  const schema = stack.use(watchSchema(db, log))
  const summary = stack.use(createSummary(log, metrics))
  for (const [environment, credentials] of Object.entries(config.credentials)) {
    if (credentials.some(({ kind }) => kind === 'none')) {
      log.warn({ environment }, 'no credentials are asked for: anybody who finds the address may post')
    }
  }

  const self = describeProcess('ingest', config.queue)
  const starting = startStoreChecks({
    looks: {
      Postgres: async () => clock.heard(await checkNewSession(config.databaseUrl, { log, name: 'ingest' })),
      ...(config.queue && { Redis: createRedisCheck(config.queue) }),
      Processes: () => checkProcesses(db, self),
    },
    strict: config.strict,
    log,
    metrics,
    // Redis gets no events until a job has gone through it.
    redisMs: REDIS_BOOT_WAIT_MS,
    changed: () => queue?.isReady,
    ...(checkEveryMs && { everyMs: checkEveryMs }),
  })
  const [storeChecks] = await Promise.all([starting, queue?.ready(REDIS_BOOT_WAIT_MS)])
  stack.use(storeChecks)
  if (queue && !queue.isReady) {
    log.warn('Redis does not answer; events go to the inbox in Postgres until it does')
  }
  const enqueue = createEnqueue({
    queue,
    blocksUse: storeChecks.blocksUse,
    inbox: createInboxWriter(db),
    enqueued: summary.enqueued,
    log,
  })
  let closing = false
  const health = (): Health => ({
    ready:
      !closing &&
      ((schema.usable && !storeChecks.blocksUse('Postgres')) ||
        (queue?.isReady === true && !storeChecks.blocksUse('Redis'))),
    ...(closing && { closing }),
    postgres: schema.state,
    redis: queue?.health ?? 'not configured',
    problems: storeChecks.problems(),
  })
  const app = createApp({
    accept: createAccept({
      enqueue,
      now: clock.now,
      nextDeliveryId: createDeliveryIds(),
      onRefused: (error) => log.debug({ error: describeError(error) }, 'no store took an event'),
    }),
    authenticate: {
      live: createAuthenticate(config.credentials.live),
      sandbox: createAuthenticate(config.credentials.sandbox),
    },
    allowedIps: config.allowedIps.length > 0 ? blockList(config.allowedIps) : undefined,
    trustedProxies: config.trustedProxies,
    health,
    onManyFailures: (source) =>
      log.warn({ source }, 'many requests with wrong credentials; further ones get 429'),
    isClosing: () => closing,
    answered: summary.answered,
  })
  await app.listen({ host: config.host, port: config.port }).catch((error: unknown) => {
    throw listenError(error, config.port, 'INGEST_PORT', 'LISTEN_HOST')
  })
  stack.defer(async () => {
    closing = true
    await pause(config.shutdownDelayMs)
    await closeGently(app)
  })
  stack.use(announceProcess(db, self, log))
  const { port } = app.server.address() as AddressInfo
  log.info({ host: config.host, port, queue: config.queue ? 'redis' : 'inbox' }, 'ingest listens')
  const running = stack.move()
  return { port, health, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** Answers what has begun, with `Connection: close`; keep-alive connections are closed as soon as they are idle. */
async function closeGently(app: FastifyInstance): Promise<void> {
  const idle = setInterval(() => app.server.closeIdleConnections(), 250)
  const limit = setTimeout(() => app.server.closeAllConnections(), CLOSE_LIMIT_MS)
  await app.close()
  clearInterval(idle)
  clearTimeout(limit)
}

/** Ids unique over all ingests: a random part per process, then a count. */
function createDeliveryIds(): () => string {
  const process = randomBytes(9).toString('base64url')
  let count = 0
  return () => `${process}${(count++).toString(36)}`
}

/** Knows whether the inbox can be written, asking every 2 s; says when that changes. */
function watchSchema(
  db: Db,
  log: Log,
): AsyncDisposable & { readonly state: string; readonly usable: boolean } {
  let state = 'unknown'
  function note(now: string): void {
    if (now !== state) log[isUsable(now) ? 'info' : 'warn']({ postgres: now }, advice(now))
    state = now
  }
  const watching = every(CHECK_EVERY_MS, async () => note(await schemaState(db.pool)), {
    onError: (error) => note(`down (${describeError(error).message})`),
  })
  return {
    get state() {
      return state
    },
    get usable() {
      return isUsable(state)
    },
    [Symbol.asyncDispose]: () => watching[Symbol.asyncDispose](),
  }
}

const isUsable = (state: string) => state === 'current' || state === 'newer'

function advice(state: string): string {
  if (state === 'missing' || state === 'older') return 'the database is not migrated: run `sluice migrate`'
  return isUsable(state) ? 'Postgres answers' : 'Postgres does not answer'
}
