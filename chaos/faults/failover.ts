import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createRedisServer, type RedisServer } from '../stores/redis.ts'
import type { Fault } from './fault.ts'

const LIMIT_MS = 20_000

/**
 * A replica takes over, in order (FAILOVER waits until it has everything); the clients that stay with the demoted one
 * get READONLY. A failover without order loses what had not been replicated: no client can help that.
 */
export const failover: Fault = {
  id: 'F11',
  name: 'failover: a replica takes over, the old Redis answers READONLY',
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
    // So long nobody tells the name service; every new connection still meets the demoted one.
    world.moveRedis(replica.port)
  },
  heal: async () => {},
  bites: { failovers: 1, viaInbox: 20, viaRedis: 100 },
}

async function until(redis: RedisServer, pattern: RegExp): Promise<void> {
  for (const limit = Date.now() + LIMIT_MS; Date.now() < limit; await pause(50)) {
    if (pattern.test(String(await redis.command('INFO', 'replication')))) return
  }
  throw new Error(`no ${pattern} within ${LIMIT_MS} ms`)
}
