import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import {
  announceProcess,
  checkNewSession,
  checkProcesses,
  createDb,
  describeProcess,
  recordMinutes,
} from '@sluice/shared/db'
import { createQueueProducer, createRedisCheck } from '@sluice/shared/queue'
import {
  describeError,
  type Health,
  type Log,
  listenError,
  type Metrics,
  pause,
  startStoreChecks,
  startTraces,
  totalsOf,
  traceField,
  withDeadline,
} from '@sluice/shared/runtime'
import type { FastifyInstance } from 'fastify'
import { createAccept } from './accept.ts'
import { type Authenticate, createAuthenticate, createKnowsName, createNobody } from './authenticate.ts'
import { createClock } from './clock.ts'
import type { IngestConfig } from './config.ts'
import { createEnqueue } from './enqueue.ts'
import { createInboxWriter } from './inbox-writer.ts'
import { createIngestMetrics } from './metrics.ts'
import { createRefusalVoice } from './refusal-voice.ts'
import { rememberRefused } from './refused-events.ts'
import { watchSchema } from './schema-watch.ts'
import { createServer } from './server.ts'
import { type OfSource, perSource } from './source-settings.ts'
import { watchForAlerts } from './watch-for-alerts.ts'

const BOOT_WAIT_MS = 3_000
const CLOSE_LIMIT_MS = 10_000

/**
 * Opens the stores, then listens for webhooks. It starts with any store down, and uses that store once it is up.
 *
 * @param deps.checkEveryMs how often the settings of the stores are checked, every minute by default
 * @returns the port that it listens on. Disposing answers the requests under way, then closes the stores.
 */
export async function startIngest(
  config: IngestConfig,
  { log, metrics, checkEveryMs }: { log: Log; metrics: Metrics; checkEveryMs?: number },
): Promise<
  AsyncDisposable & {
    port: number
    health(): Health
    /** From the next request on, these are accepted instead of those before. */
    useCredentials(credentials: IngestConfig['credentials']): void
  }
> {
  await using stack = new AsyncDisposableStack()
  // First, so that it ends last.
  const traces = stack.use(await startTraces(config.traces, { service: 'sluice-ingest', log }))
  const db = stack.use(
    createDb(config.databaseUrl, {
      max: 5,
      statementMs: 1_200,
      connectMs: 1_200,
      log,
      name: 'ingest',
      waited: (seconds) => metrics.poolWait.observe(seconds),
    }),
  )
  const queue =
    config.queue &&
    stack.use(
      createQueueProducer(config.queue, log, { redelivered: (events) => metrics.collapsed.inc(events) }),
    )
  metrics.watchPool(db.pool)
  metrics.watchCircuits(() =>
    (queue?.isUp ?? []).map((isUp, shard) => ({ store: 'redis', shard, isOpen: !isUp })),
  )
  const clock = createClock()
  const schema = stack.use(watchSchema(db, log))
  const self = describeProcess('ingest', config.queue)
  let checks: Pick<Awaited<ReturnType<typeof startStoreChecks>>, 'unsafe' | 'findings'> | undefined
  stack.use(
    recordMinutes({
      db,
      process: self.id,
      role: 'ingest',
      totals: () => totalsOf(metrics, ['answers', 'wrongSecrets', 'enqueued']),
      last: () => counts.lastAccepted,
      lastRefused: () => counts.lastRefused,
      unsafe: () => checks?.unsafe() ?? [],
      findings: () => checks?.findings() ?? [],
      now: clock.now,
      log,
    }),
  )
  const refused = stack.use(rememberRefused(db, metrics, log))
  const counts = stack.use(createIngestMetrics(log, metrics, clock.now))
  const { sources } = config
  let authenticate: OfSource<Authenticate> = {}
  let knowsName: OfSource<Authenticate> = {}
  let nobody: Authenticate = () => false
  function useCredentials(credentials: IngestConfig['credentials']): void {
    authenticate = perSource(sources, (name) => createAuthenticate(credentials[name] ?? []))
    knowsName = perSource(sources, (name) => createKnowsName(credentials[name] ?? []))
    nobody = createNobody(Object.values(credentials))
    for (const { name: environment } of sources) {
      if (credentials[environment]?.some(({ kind }) => kind === 'none')) {
        log.warn({ environment }, 'no credentials are required: anybody who finds the address may post')
      }
    }
  }
  useCredentials(config.credentials)
  for (const setting of config.strayCredentials) {
    log.warn({ setting }, 'these credentials are of no source: IDWISE_SOURCES does not name it')
  }

  // Otherwise the first events would have the time of a clock that may be wrong.
  const compared = Promise.withResolvers<void>()
  const clockCompared = withDeadline(compared.promise, BOOT_WAIT_MS, 'comparing the clocks').catch(() => {})
  const starting = startStoreChecks({
    looks: {
      Postgres: async () => {
        try {
          return clock.adjust(await checkNewSession(config.databaseUrl, { log, name: 'ingest' }))
        } finally {
          compared.resolve()
        }
      },
      ...(config.queue && { Redis: createRedisCheck(config.queue) }),
      Processes: () => checkProcesses(db, self),
    },
    strict: config.strict,
    log,
    metrics,
    // Redis gets no events before a trial job has gone through it.
    redisMs: BOOT_WAIT_MS,
    changed: () => queue?.isReady,
    ...(checkEveryMs && { everyMs: checkEveryMs }),
  })
  const [storeChecks] = await Promise.all([starting, queue?.ready(BOOT_WAIT_MS), clockCompared])
  stack.use(storeChecks)
  checks = storeChecks
  if (queue && !queue.isReady) {
    log.warn('Redis does not answer; events go to the inbox in Postgres until it does')
  }
  const canAccept = () =>
    (schema.isUsable && !storeChecks.blocksUse('Postgres')) ||
    (queue?.isUp.includes(true) === true && !storeChecks.blocksUse('Redis'))
  const { channels } = config.alerts
  const voice =
    channels.length > 0
      ? stack.use(createRefusalVoice(channels, { db, sources, canAccept, now: clock.now, metrics, log }))
      : undefined
  if (voice) stack.use(watchForAlerts({ db, queue: config.queue, sources, metrics, log }, config.alerts))
  const enqueue = createEnqueue({
    queue,
    blocksUse: storeChecks.blocksUse,
    inbox: createInboxWriter(db),
    enqueued: counts.enqueued,
    log,
  })
  let closing = false
  const health = (): Health => ({
    ready: !closing && canAccept(),
    ...(closing && { closing }),
    postgres: schema.state,
    redis: queue?.health ?? 'not configured',
    problems: storeChecks.problems(),
  })
  const app = createServer({
    accept: createAccept({
      enqueue,
      now: clock.now,
      nextDeliveryId: createDeliveryIds(),
      ...(voice && { onAccepted: voice.accepted }),
      onRefused(event, error, traceparent) {
        refused.add(event)
        voice?.refused(event)
        const fields = { error: describeError(error), ...traceField(traceparent) }
        log.debug(fields, 'no store has acknowledged an event')
      },
      traces,
    }),
    authenticate: perSource(sources, (name) => (request) => (authenticate[name] ?? nobody)(request)),
    knowsName: perSource(sources, (name) => (request) => knowsName[name]?.(request) ?? false),
    nobody: (request) => nobody(request),
    allowedIps: config.allowedIps,
    trustedProxies: config.trustedProxies,
    health,
    onManyFailures: (source) =>
      log.warn({ source }, 'many requests with wrong credentials: further ones are answered 429'),
    isClosing: () => closing,
    answered: counts.answered,
    received: counts.received,
    wrongSecret: (environment) => metrics.wrongSecrets.inc({ environment }),
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
  return { port, health, useCredentials, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** Answers the requests under way, with `Connection: close`, and closes connections as soon as they are idle. */
async function closeGently(app: FastifyInstance): Promise<void> {
  const idle = setInterval(() => app.server.closeIdleConnections(), 250)
  const limit = setTimeout(() => app.server.closeAllConnections(), CLOSE_LIMIT_MS)
  await app.close()
  clearInterval(idle)
  clearTimeout(limit)
}

/** Ids that are unique among all ingests: a random part for the process, then a count. */
function createDeliveryIds(): () => string {
  const process = randomBytes(9).toString('base64url')
  let count = 0
  return () => `${process}${(count++).toString(36)}`
}
