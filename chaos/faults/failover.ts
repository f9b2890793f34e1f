import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '@sluice/testkit/eventually'
import { startProxy, type TcpProxy } from '@sluice/testkit/proxy'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

const LIMIT_MS = 20_000

/** Makes a replica of a Redis. It reaches its master through a line that can be slowed down and cut. */
async function replicate(
  world: World,
  master: RedisServer,
  name: string,
): Promise<{ replica: RedisServer; line: TcpProxy }> {
  const line = world.own(await startProxy(() => master.port))
  const replica = world.own(await createRedisServer({ dir: join(world.dir, name) }))
  await replica.command('REPLICAOF', '127.0.0.1', line.port)
  await until(replica, /master_link_status:up/)
  // An ingest looks for replicas every few seconds.
  await pause(6_000)
  return { replica, line }
}

/** Kills the master under load and gives its place to the replica, as it is. */
async function promote(world: World, master: RedisServer, replica: RedisServer): Promise<void> {
  await master.kill()
  await replica.command('REPLICAOF', 'NO', 'ONE')
  world.moveRedis(replica)
  world.redisProxy.cut()
  world.trace('failovers')
}

export const failoverFaults: readonly Fault[] = [
  {
    id: 'F11',
    name: 'failover in order: a replica takes over (FAILOVER), the old Redis answers READONLY',
    seconds: 5,
    world: { behindProxy: ['redis'] },
    async inject(world) {
      const { redis } = world
      const replica = world.own(await createRedisServer({ dir: join(world.dir, 'replica') }))
      await replica.command('REPLICAOF', '127.0.0.1', redis.port)
      await until(replica, /master_link_status:up/)
      await redis.command('FAILOVER', 'TO', '127.0.0.1', replica.port)
      await until(redis, /role:slave/)
      await until(replica, /role:master/)
      world.trace('failovers')
      await pause(1_500)
      // Until here every new connection met the demoted Redis, as if a name service were late.
      world.moveRedis(replica)
    },
    heal: async () => {},
    effect: { failovers: 1, viaInbox: 20, viaRedis: 100 },
  },
  {
    id: 'F11-unordered',
    mayOvercount: true,
    name: 'failover without order, three times: the master is killed, a replica 5 ms behind takes over',
    seconds: 40,
    times: 4,
    world: { behindProxy: ['redis'] },
    async inject(world) {
      let master = world.redis
      for (let n = 1; n <= 3; n++) {
        const { replica, line } = await replicate(world, master, `replica-${n}`)
        await line.set({ kind: 'latency', ms: 5, jitterMs: 0 })
        await pause(3_000)
        await promote(world, master, replica)
        master = replica
        await pause(1_000)
      }
    },
    heal: async () => {},
    effect: { failovers: 3, viaRedis: 500, viaInbox: 20 },
  },
  {
    id: 'F11-cut',
    mayOvercount: true,
    name: 'failover to a replica that was cut off: its line carries nothing for 3 s, then the master is killed',
    seconds: 16,
    times: 2,
    world: { behindProxy: ['redis'] },
    async inject(world) {
      const { replica, line } = await replicate(world, world.redis, 'replica')
      await line.set({ kind: 'black-hole' })
      await pause(3_000)
      await promote(world, world.redis, replica)
      await pause(1_000)
    },
    heal: async () => {},
    effect: { failovers: 1, viaRedis: 100, viaInbox: 100 },
  },
]

async function until(redis: RedisServer, pattern: RegExp): Promise<void> {
  await eventually(async () => pattern.test(String(await redis.command('INFO', 'replication'))), LIMIT_MS)
}
