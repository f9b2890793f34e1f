import { randomUUID } from 'node:crypto'
import { type IngestConfig, readIngestConfig, startIngest } from '@sluice/ingest'
import { createDb, type Db } from '@sluice/shared/db'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { readWorkerConfig, startWorker, type WorkerConfig } from '@sluice/worker'
import { inject } from 'vitest'
import { LIVE_TOKEN, SANDBOX_TOKEN, settingsOf } from './settings.ts'

export { eventually } from './eventually.ts'
export { LIVE_TOKEN, SANDBOX_TOKEN } from './settings.ts'

export const WAYS = ['redis', 'inbox'] as const
export type Way = (typeof WAYS)[number]

/** A database and a queue for one test, on the servers that all tests share. */
export type World = AsyncDisposable &
  Settings & {
    way: Way
    databaseUrl: string
    redisUrl: string
    queuePrefix: string
    db: Db
    /** Rows of a query, for assertions. */
    rows<Row = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>
  }

/** What names the stores of a world: to processes that are started, and to an ingest and a worker in this process. */
type Settings = { env: Record<string, string>; ingestConfig: IngestConfig; workerConfig: WorkerConfig }

const log = createLog('test', process.env.TEST_LOG_LEVEL ?? 'error')

/** @param options.template a world whose database is copied; it may have no open connection but its own idle ones */
export async function createWorld(
  way: Way,
  {
    redisUrl = inject('redisUrl'),
    shards = 1,
    template,
  }: { redisUrl?: string; shards?: number; template?: World } = {},
): Promise<World> {
  const postgresUrl = inject('postgresUrl')
  const name = `t_${randomUUID().replaceAll('-', '')}`
  const admin = createDb(postgresUrl, { max: 1, statementMs: 30_000, log, name: 'tests' })
  if (template) await endSessions(admin, template)
  await admin.pool.query(`create database ${name} template ${template?.queuePrefix ?? inject('template')}`)
  const url = new URL(postgresUrl)
  url.pathname = `/${name}`
  const databaseUrl = url.href
  const db = createDb(databaseUrl, { max: 3, statementMs: 30_000, log, name: 'tests' })
  const queue = way === 'redis' ? { url: redisUrl, prefix: name, shards } : undefined
  return {
    way,
    databaseUrl,
    redisUrl,
    queuePrefix: name,
    db,
    ...settingsFor(settingsOf({ databaseUrl, queue })),
    rows: async (sql, values) => (await db.pool.query(sql, values)).rows,
    async [Symbol.asyncDispose]() {
      await db[Symbol.asyncDispose]()
      await admin.pool.query(`drop database ${name} with (force)`)
      await admin[Symbol.asyncDispose]()
    },
  }
}

/** Postgres copies no database that is in use. */
async function endSessions(admin: Db, { queuePrefix: name }: World): Promise<void> {
  await admin.pool.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [
    name,
  ])
}

/** The same database with an empty queue. */
export function withQueue(world: World, prefix: string): World {
  if (world.way === 'inbox') return world
  return { ...world, queuePrefix: prefix, ...settingsFor({ ...world.env, QUEUE_PREFIX: prefix }) }
}

function settingsFor(env: Record<string, string>): Settings {
  return {
    env,
    ingestConfig: readIngestConfig(env),
    workerConfig: { ...readWorkerConfig(env), concurrency: 100 },
  }
}

export type Door = AsyncDisposable & { url: string; post(body: Body, init?: PostInit): Promise<Response> }
export type Body = NonNullable<RequestInit['body']>
export type PostInit = { environment?: string; headers?: Record<string, string> }

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

/** Posts as IDWise would, with the credentials of the environment unless `headers` has others. */
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
