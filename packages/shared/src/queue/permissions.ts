import type { Redis } from 'ioredis'
import { connected } from './nodes.ts'

/** What ingest, worker and BullMQ's scripts run, each with arguments behind its key that make it complete. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  bzpopmin: ['0'],
  del: [],
  exists: [],
  get: [],
  hdel: ['0'],
  hexists: ['0'],
  hget: ['0'],
  hgetall: [],
  hincrby: ['0', '0'],
  hmget: ['0'],
  hmset: ['0', '0'],
  hscan: ['0'],
  hset: ['0', '0'],
  incr: [],
  lindex: ['0'],
  llen: [],
  lpos: ['0'],
  lpush: ['0'],
  lrange: ['0', '0'],
  lrem: ['0', '0'],
  ltrim: ['0', '0'],
  mget: [],
  rpop: [],
  rpush: ['0'],
  sadd: ['0'],
  set: ['0'],
  smembers: [],
  srem: ['0'],
  xadd: ['*', '0', '0'],
  zadd: ['0', '0'],
  zcard: [],
  zpopmin: [],
  zrange: ['0', '0'],
  zrangebyscore: ['0', '0'],
  zrem: ['0'],
  zscore: ['0'],
}

/**
 * The commands of the queue that this user may not run on its keys: Redis 7.0 does not say which one stopped a script.
 * They are queued for a transaction, which Redis checks the rights for, and discarded.
 *
 * @param beside a connection of this user; a transaction has one for itself
 */
export async function missingRights(beside: Redis, prefix: string): Promise<string[]> {
  const client = beside.duplicate()
  client.on('error', () => {})
  try {
    await connected(client)
    return await deniedCommands(client, `${prefix}:events:rights`)
  } finally {
    client.disconnect()
  }
}

async function deniedCommands(client: Redis, key: string): Promise<string[]> {
  await client.call('MULTI')
  const denied = await Promise.all(
    commandsOn(key).map(async ([command, ...args]) => {
      const error = await client.call(command, ...args).then(
        () => undefined,
        (reason: Error) => reason,
      )
      return error?.message.startsWith('NOPERM') ? [command] : []
    }),
  )
  await client.call('DISCARD')
  return denied.flat()
}

function commandsOn(key: string): [string, ...string[]][] {
  return [
    ['eval', 'return 0', '1', key],
    ['evalsha', '0', '1', key],
    ['rpoplpush', key, key],
    ...Object.entries(COMMANDS).map(([command, args]): [string, ...string[]] => [command, key, ...args]),
  ]
}
