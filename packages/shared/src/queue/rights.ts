import type { Redis } from 'ioredis'
import { connected } from './nodes.ts'

/** What the scripts of the queue run, with as many arguments as each needs, the first one a key. */
const COMMANDS: Readonly<Record<string, number>> = {
  eval: 3,
  evalsha: 3,
  bzpopmin: 2,
  del: 1,
  exists: 1,
  expire: 2,
  get: 1,
  hdel: 2,
  hget: 2,
  hgetall: 1,
  hincrby: 3,
  hmget: 2,
  hset: 3,
  incr: 1,
  lindex: 2,
  llen: 1,
  lpush: 2,
  lrange: 3,
  lrem: 3,
  pexpire: 2,
  pttl: 1,
  rpop: 1,
  rpoplpush: 2,
  sadd: 2,
  set: 2,
  srem: 2,
  unlink: 1,
  xadd: 4,
  zadd: 3,
  zcard: 1,
  zrange: 3,
  zrangebyscore: 3,
  zrem: 2,
  zscore: 2,
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
    Object.entries(COMMANDS).map(async ([command, size]) => {
      const error = await client.call(command, ...argumentsOf(command, size, key)).then(
        () => undefined,
        (reason: Error) => reason,
      )
      return error?.message.startsWith('NOPERM') ? [command] : []
    }),
  )
  await client.call('DISCARD')
  return denied.flat()
}

function argumentsOf(command: string, size: number, key: string): string[] {
  if (command === 'eval' || command === 'evalsha') return ['', '1', key]
  if (command === 'rpoplpush') return [key, key]
  return [key, ...Array.from({ length: size - 1 }, () => '0')]
}
