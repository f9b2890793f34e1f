import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDb, type Db, migrateSchema } from '@sluice/shared/db'
import { createQueueAdmin, type QueueAdmin, queueKeys, shardPrefix } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { type Fleet, startFleet } from '@sluice/testkit/fleet'
import { createPostgresServer, type PostgresServer } from '@sluice/testkit/postgres-server'
import { startProxy, type TcpProxy } from '@sluice/testkit/proxy'
import { createRedisCluster, type RedisCluster } from '@sluice/testkit/redis-cluster'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import type { Trace } from './faults/fault.ts'

export const LIVE_TOKEN = 'live-token-of-the-chaos'
export const SANDBOX_TOKEN = 'sandbox-token-of-the-chaos'
export const QUEUE_PREFIX = 'chaos'
/** Four times the masters, so that each has about as many. */
const CLUSTER_SHARDS = 12

export type WorldOptions = {
  /** Stores that Sluice reaches through a proxy; it reaches the others directly. */
  readonly behindProxy?: readonly ('redis' | 'postgres')[]
  /** Lines of redis.conf. */
  readonly redisSettings?: Readonly<Record<string, string>>
  /** Instead of one Redis a cluster of three masters, each with a replica. */
  readonly cluster?: true
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
  /** The one that the processes were started with; of a cluster its first node. */
  readonly redis: RedisServer
  /** Only where `cluster` was asked for. */
  readonly cluster: RedisCluster
  readonly postgres: PostgresServer
  readonly redisProxy: TcpProxy
  readonly postgresProxy: TcpProxy
  /** Where the sender posts to; it chooses an ingest that is ready. */
  readonly door: TcpProxy & { readonly url: string }
  /** Straight to Postgres. */
  readonly db: Db
  readonly admin: QueueAdmin
  readonly fleet: Fleet
  /** 0 to 1, the same numbers for the same seed. */
  random(): number
  /** Another Redis takes the place of the first one from now on; only for a Redis behind its proxy. */
  moveRedis(to: RedisServer): void
  /** Counts of collapsed deliveries that are on their way to their rows. */
  uncounted(): Promise<number>
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
  const cluster = options.cluster && stack.use(await createRedisCluster(dir, { replicas: 1, settings }))
  const redis =
    cluster?.nodes[0] ??
    stack.use(await createRedisServer({ dir: join(dir, 'redis'), settings, env: redisEnv }))
  const postgres = stack.use(await createPostgresServer({ dir: join(dir, 'postgres') }))
  let present = redis
  const redisProxy = stack.use(await startProxy(() => present.port))
  const postgresProxy = stack.use(await startProxy(() => postgres.port))
  const db = stack.use(createDb(postgres.url, { max: 3, statementMs: 10_000, log, name: 'chaos' }))
  if (!options.unmigrated) await migrateSchema(db)
  const proxied = (store: 'redis' | 'postgres') => options.behindProxy?.includes(store) ?? false
  const redisUrl = cluster?.url ?? at(redis.url, options.host, proxied('redis') ? redisProxy.port : undefined)
  const shards = cluster ? CLUSTER_SHARDS : 1
  const admin = stack.use(createQueueAdmin({ url: redisUrl, prefix: QUEUE_PREFIX, shards }, log))
  const env = {
    REDIS_URL: redisUrl,
    QUEUE_SHARDS: String(shards),
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
    get cluster() {
      if (!cluster) throw new Error('this world has no cluster')
      return cluster
    },
    postgres,
    redisProxy,
    postgresProxy,
    door: Object.assign(door, { url: `http://127.0.0.1:${door.port}` }),
    db,
    admin,
    get fleet() {
      if (!fleet) throw new Error('the processes have not been started')
      return fleet
    },
    random: createRandom(seed),
    moveRedis(to) {
      present = to
    },
    async uncounted() {
      const counts = Array.from({ length: shards }, async (_, shard) => {
        const key = queueKeys(shardPrefix(QUEUE_PREFIX, shard)).redeliveries
        const node = cluster ? await cluster.ownerOf(await cluster.slotOf(key)) : present
        return Number(await node.command('HLEN', key))
      })
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
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
