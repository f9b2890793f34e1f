import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDb, type Db, migrateSchema } from '@sluice/shared/db'
import { createQueueSteward, type QueueSteward } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import type { Trace } from './faults/fault.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { startProxy, type TcpProxy } from './proxy.ts'
import { createPostgresServer, type PostgresServer } from './stores/postgres.ts'
import { createRedisServer, type RedisServer } from './stores/redis.ts'

export const LIVE_TOKEN = 'live-token-of-the-chaos'
export const SANDBOX_TOKEN = 'sandbox-token-of-the-chaos'
export const QUEUE_PREFIX = 'chaos'

export type WorldOptions = {
  /** Stores that Sluice reaches through a proxy; it reaches the others directly. */
  readonly behindProxy?: readonly ('redis' | 'postgres')[]
  /** Lines of redis.conf. */
  readonly redisSettings?: Readonly<Record<string, string>>
  /** Runs before the stores start, on their empty folders; gives the environment of the Redis process. */
  readonly prepare?: (dir: string, stack: AsyncDisposableStack) => Promise<Record<string, string>>
  /** For the processes of Sluice. */
  readonly env?: (dir: string) => Record<string, string>
  /** The stores' host as Sluice is told it. */
  readonly host?: string
  /** Another worker than Sluice's, for the tests of the check. */
  readonly workerFile?: string
  /** The schema is not there yet. */
  readonly unmigrated?: true
}

/** Two ingests behind a door, two workers, and stores of their own. */
export type World = AsyncDisposable & {
  readonly dir: string
  readonly redis: RedisServer
  readonly postgres: PostgresServer
  readonly redisProxy: TcpProxy
  readonly postgresProxy: TcpProxy
  /** Where the sender posts to; it chooses an ingest that is ready. */
  readonly door: TcpProxy & { readonly url: string }
  /** Straight to Postgres. */
  readonly db: Db
  readonly steward: QueueSteward
  readonly fleet: Fleet
  /** 0 to 1, the same numbers for the same seed. */
  random(): number
  /** Redis is at another port from now on; only for a Redis behind its proxy. */
  moveRedis(port: number): void
  /** Is disposed with the world. */
  own<T extends AsyncDisposable>(thing: T): T
  readonly traces: Partial<Record<Trace, number>>
  trace(name: Trace, count?: number): void
  /** Starts the processes, and resolves when they serve. */
  startProcesses(): Promise<void>
  /** The settings of the processes. */
  readonly env: Record<string, string>
}

const log = createLog('chaos', 'silent')

export async function createWorld(options: WorldOptions, seed: number): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-chaos-'))
  // Postgres does not run as root: its user must be able to pass through.
  await chmod(dir, 0o711)
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  const redisEnv = (await options.prepare?.(dir, stack)) ?? {}
  const settings = options.redisSettings ?? {}
  const redis = stack.use(await createRedisServer({ dir: join(dir, 'redis'), settings, env: redisEnv }))
  const postgres = stack.use(await createPostgresServer({ dir: join(dir, 'postgres') }))
  let redisPort = redis.port
  const redisProxy = stack.use(await startProxy(() => redisPort))
  const postgresProxy = stack.use(await startProxy(() => postgres.port))
  const db = stack.use(createDb(postgres.url, { max: 3, statementMs: 10_000, log, name: 'chaos' }))
  if (!options.unmigrated) await migrateSchema(db)
  const steward = stack.use(createQueueSteward({ url: redis.url, prefix: QUEUE_PREFIX, shards: 1 }, log))

  const proxied = (store: 'redis' | 'postgres') => options.behindProxy?.includes(store) ?? false
  const env = {
    REDIS_URL: at(redis.url, options.host, proxied('redis') ? redisProxy.port : undefined),
    DATABASE_URL: at(postgres.url, options.host, proxied('postgres') ? postgresProxy.port : undefined),
    QUEUE_PREFIX,
    IDWISE_LIVE_CREDENTIALS: `bearer:${LIVE_TOKEN}`,
    IDWISE_SANDBOX_CREDENTIALS: `bearer:${SANDBOX_TOKEN}`,
    INGEST_PORT: '0',
    WORKER_PORT: '0',
    METRICS_PORT: '0',
    SHUTDOWN_DELAY_SECONDS: '1',
    ...options.env?.(dir),
  }
  let fleet: Fleet | undefined
  const door = stack.use(
    await startProxy(createBalancer(() => fleet?.ingests().map(({ port }) => port), stack)),
  )
  const traces: Partial<Record<Trace, number>> = {}
  const held = stack.move()

  return {
    dir,
    redis,
    postgres,
    redisProxy,
    postgresProxy,
    door: Object.assign(door, { url: `http://127.0.0.1:${door.port}` }),
    db,
    steward,
    get fleet() {
      if (!fleet) throw new Error('the processes have not been started')
      return fleet
    },
    random: createRandom(seed),
    moveRedis(port) {
      redisPort = port
    },
    own: (thing) => held.use(thing),
    traces,
    trace(name, count = 1) {
      traces[name] = (traces[name] ?? 0) + count
    },
    async startProcesses() {
      const files = options.workerFile === undefined ? {} : { worker: options.workerFile }
      fleet = held.use(startFleet(['ingest', 'ingest', 'worker', 'worker'], env, files))
      await Promise.all(fleet.members.map((member) => member.up()))
    },
    env,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

function at(url: string, host: string | undefined, port: number | undefined): string {
  const changed = new URL(url)
  if (host) changed.hostname = host
  if (port) changed.port = String(port)
  return changed.href
}

/** Turns over the ingests that say that they are ready; where none does, over those that listen. */
function createBalancer(ports: () => (number | undefined)[] | undefined, stack: AsyncDisposableStack) {
  const ready = new Set<number>()
  let turn = 0
  const listening = () => (ports() ?? []).filter((port) => port !== undefined)
  const timer = setInterval(() => {
    for (const port of listening()) {
      fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1_000) }).then(
        ({ ok }) => (ok ? ready.add(port) : ready.delete(port)),
        () => ready.delete(port),
      )
    }
  }, 200)
  stack.defer(() => clearInterval(timer))
  return () => {
    const all = listening()
    const good = all.filter((port) => ready.has(port))
    const choice = good.length > 0 ? good : all
    return choice[turn++ % choice.length]
  }
}

/** mulberry32 */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
