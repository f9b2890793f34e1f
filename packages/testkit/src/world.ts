import { randomUUID } from 'node:crypto'
import { type IngestConfig, startIngest } from '@sluice/ingest'
import { createDb, type Db } from '@sluice/shared/db'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { startWorker, type WorkerConfig } from '@sluice/worker'
import { inject } from 'vitest'

export const WAYS = ['redis', 'inbox'] as const
export type Way = (typeof WAYS)[number]

export const LIVE_TOKEN = 'live-token-of-the-tests'
export const SANDBOX_TOKEN = 'sandbox-token-of-the-tests'

/** A database and a queue of its own, on the servers that all tests share. */
export type World = AsyncDisposable & {
  way: Way
  databaseUrl: string
  redisUrl: string
  queuePrefix: string
  db: Db
  /** The settings of these stores, for a process of its own. */
  env: Record<string, string>
  ingestConfig: IngestConfig
  workerConfig: WorkerConfig
  /** Rows of a query, for assertions. */
  rows<Row = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>
}

const log = createLog('test', process.env.TEST_LOG_LEVEL ?? 'error')

export async function createWorld(
  way: Way,
  { redisUrl = inject('redisUrl'), shards = 1 }: { redisUrl?: string; shards?: number } = {},
): Promise<World> {
  const postgresUrl = inject('postgresUrl')
  const name = `t_${randomUUID().replaceAll('-', '')}`
  const admin = createDb(postgresUrl, { max: 1, statementMs: 30_000, log, name: 'tests' })
  await admin.pool.query(`create database ${name} template ${inject('template')}`)
  const url = new URL(postgresUrl)
  url.pathname = `/${name}`
  const databaseUrl = url.href
  const db = createDb(databaseUrl, { max: 3, statementMs: 30_000, log, name: 'tests' })
  const queue = way === 'redis' ? { url: redisUrl, prefix: name, shards } : undefined
  const common = {
    host: '127.0.0.1',
    probesHost: '127.0.0.1',
    port: 0,
    metricsPort: 0,
    logLevel: 'error',
    strict: false,
    databaseUrl,
    queue,
  }
  return {
    way,
    databaseUrl,
    redisUrl,
    queuePrefix: name,
    db,
    env: {
      DATABASE_URL: databaseUrl,
      ...(queue && { REDIS_URL: redisUrl, QUEUE_PREFIX: name, QUEUE_SHARDS: String(shards) }),
      IDWISE_LIVE_CREDENTIALS: `bearer:${LIVE_TOKEN}`,
      IDWISE_SANDBOX_CREDENTIALS: `bearer:${SANDBOX_TOKEN}`,
      INGEST_PORT: '0',
      WORKER_PORT: '0',
      METRICS_PORT: '0',
      SHUTDOWN_DELAY_SECONDS: '0',
    },
    ingestConfig: {
      ...common,
      credentials: {
        live: [{ kind: 'bearer', token: LIVE_TOKEN }],
        sandbox: [{ kind: 'bearer', token: SANDBOX_TOKEN }],
      },
      trustedProxies: [],
      allowedIps: [],
      shutdownDelayMs: 0,
    },
    workerConfig: { ...common, concurrency: 100, scheduler: true },
    rows: async (sql, values) => (await db.pool.query(sql, values)).rows,
    async [Symbol.asyncDispose]() {
      await db[Symbol.asyncDispose]()
      await admin.pool.query(`drop database ${name} with (force)`)
      await admin[Symbol.asyncDispose]()
    },
  }
}

export type Door = AsyncDisposable & { url: string; post(body: Body, init?: PostInit): Promise<Response> }
export type Body = NonNullable<RequestInit['body']>
export type PostInit = { environment?: 'live' | 'sandbox'; headers?: Record<string, string> }

/** Runs an ingest in this process. */
export async function openDoor(world: World, config: Partial<IngestConfig> = {}): Promise<Door> {
  const ingest = await startIngest({ ...world.ingestConfig, ...config }, { log, metrics: createMetrics() })
  const url = `http://127.0.0.1:${ingest.port}`
  return {
    url,
    post: (body, init) => post(url, body, init),
    [Symbol.asyncDispose]: () => ingest[Symbol.asyncDispose](),
  }
}

/** Posts as IDWise would, with the right credentials unless told otherwise. */
export function post(
  url: string,
  body: Body,
  { environment = 'live', headers }: PostInit = {},
): Promise<Response> {
  const token = environment === 'live' ? LIVE_TOKEN : SANDBOX_TOKEN
  return fetch(`${url}/webhooks/idwise/${environment}`, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
  })
}

/** Runs a worker in this process. */
export function openWorker(world: World, config: Partial<WorkerConfig> = {}): ReturnType<typeof startWorker> {
  return startWorker({ ...world.workerConfig, ...config }, { log, metrics: createMetrics() })
}

/** Waits until the check gives something, and returns it; shows the last state when it never does. */
export async function eventually<T>(
  check: () => Promise<T | false | undefined> | T | false | undefined,
  limitMs = 20_000,
): Promise<T> {
  const limit = Date.now() + limitMs
  for (;;) {
    const result = await check()
    if (result) return result
    if (Date.now() > limit) throw new Error(`not within ${limitMs} ms: ${check}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
