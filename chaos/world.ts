import { join } from 'node:path'
import { migrateSchema } from '@sluice/shared/db'
import { createQueueAdmin, type QueueAdmin, queueKeys, shardPrefix } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { createRandom, type Random } from '@sluice/simulator'
import { type Fleet, type Role, startFleet } from '@sluice/testkit/fleet'
import { pathOf } from '@sluice/testkit/path-of'
import { type PoolMode, startPgBouncer } from '@sluice/testkit/pgbouncer'
import { startProxy, type TcpProxy } from '@sluice/testkit/proxy'
import { createRedisCluster, type RedisCluster } from '@sluice/testkit/redis-cluster'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import { type Rollout, startRollout } from '@sluice/testkit/rollout'
import { settingsOf } from '@sluice/testkit/settings'
import { createStores, type Stores } from '@sluice/testkit/stores'
import { createBalancer } from './balancer.ts'
import type { Trace } from './evidence.ts'

export const QUEUE_PREFIX = 'chaos'
/** Four times the masters, so that each has about as many. */
const CLUSTER_SHARDS = 12

export type WorldOptions = {
  /** The stores that Sluice reaches through a proxy. It reaches the others directly. */
  readonly behindProxy?: readonly ('redis' | 'postgres')[]
  /** Lines of redis.conf. */
  readonly redisSettings?: Readonly<Record<string, string>>
  /** A cluster of three masters, each with a replica, instead of one Redis. */
  readonly cluster?: true
  /** Sluice reaches Postgres through a PgBouncer in this mode. */
  readonly pooler?: PoolMode
  /** Runs before the stores start, when their folders are empty. Returns the environment of the Redis process. */
  readonly prepare?: (dir: string, stack: AsyncDisposableStack) => Promise<Record<string, string>>
  /** For the processes of Sluice. */
  readonly env?: (dir: string) => Record<string, string>
  /** The host of the stores in the settings of Sluice. */
  readonly host?: string
  /** So many processes run behind HAProxy, as the chart says, instead of the usual ones. */
  readonly rollout?: Readonly<Record<Role, number>>
  /** Another worker than Sluice's, for the tests of the check. */
  readonly workerFile?: string
  /** The schema is missing at the start. */
  readonly unmigrated?: true
}

/** Two ingests behind a balancer, two workers, a Redis and a Postgres, all of them new. */
export type World = Stores & {
  /** Only if `cluster` was asked for; `redis` is then its first node. */
  readonly cluster: RedisCluster
  readonly redisProxy: TcpProxy
  readonly postgresProxy: TcpProxy
  /** The address that the simulator posts to. */
  readonly door: TcpProxy & { readonly url: string }
  readonly admin: QueueAdmin
  readonly fleet: Fleet
  /** Only if `rollout` was asked for; `fleet` is then the same. */
  readonly rollout: Rollout
  readonly random: Random
  /** From now on the proxy of Redis leads to another Redis. */
  moveRedis(to: RedisServer): void
  /** How many counts of redeliveries still wait in Redis for their rows. */
  uncounted(): Promise<number>
  /** Disposes a thing together with the world. */
  own<T extends AsyncDisposable>(thing: T): T
  readonly traces: Partial<Record<Trace, number>>
  trace(name: Trace, count?: number): void
  /** Starts the processes, and resolves when they serve. */
  startProcesses(): Promise<void>
  /** The settings of the processes. */
  readonly env: Record<string, string>
}

export async function createWorld(options: WorldOptions, seed: number): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const settings = options.redisSettings ?? {}
  let cluster: RedisCluster | undefined
  const stores = stack.use(
    await createStores('chaos', {
      async startRedis(dir, held) {
        const env = (await options.prepare?.(dir, held)) ?? {}
        if (!options.cluster) return createRedisServer({ dir: join(dir, 'redis'), settings, env })
        cluster = held.use(await createRedisCluster(dir, { replicas: 1, settings }))
        return cluster.nodes[0] as RedisServer
      },
    }),
  )
  const { dir, redis, postgres, db } = stores
  let present = redis
  const redisProxy = stack.use(await startProxy(() => present.port))
  const postgresProxy = stack.use(await startProxy(() => postgres.port))
  if (!options.unmigrated) await migrateSchema(db)
  const address = (url: string, store: 'redis' | 'postgres', { port }: TcpProxy) =>
    at(url, options.host, options.behindProxy?.includes(store) ? port : undefined)
  const shards = cluster ? CLUSTER_SHARDS : 1
  const queue = { url: cluster?.url ?? address(redis.url, 'redis', redisProxy), prefix: QUEUE_PREFIX, shards }
  const admin = stack.use(createQueueAdmin(queue, createLog('chaos', 'silent')))
  const direct = address(postgres.url, 'postgres', postgresProxy)
  const pooler =
    options.pooler && stack.use(await startPgBouncer(pathOf('pgbouncer') ?? '', direct, options.pooler))
  const env = {
    ...settingsOf({ databaseUrl: pooler?.through(direct) ?? direct, queue }),
    SHUTDOWN_DELAY_SECONDS: '1',
    ...options.env?.(dir),
  }
  let fleet: Fleet | undefined
  let rollout: Rollout | undefined
  const balancer = stack.use(createBalancer(() => fleet?.ingests().flatMap(({ port }) => port ?? []) ?? []))
  const door = stack.use(await startProxy(() => rollout?.port ?? balancer.next()))
  const traces: Partial<Record<Trace, number>> = {}
  const held = stack.move()

  return {
    ...stores,
    get cluster() {
      if (!cluster) throw new Error('this world has no cluster')
      return cluster
    },
    redisProxy,
    postgresProxy,
    door: Object.assign(door, { url: `http://127.0.0.1:${door.port}` }),
    admin,
    get fleet() {
      if (!fleet) throw new Error('the processes have not been started')
      return fleet
    },
    get rollout() {
      if (!rollout) throw new Error('this world has no rollout')
      return rollout
    },
    random: createRandom(String(seed)),
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
      if (options.rollout) {
        const started = await startRollout(pathOf('haproxy') ?? '', env, options.rollout)
        rollout = held.use(started)
        fleet = rollout
        return
      }
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
