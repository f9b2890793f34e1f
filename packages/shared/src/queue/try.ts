import type { RedisClient } from './connection.ts'

/** Placeholder until the round trip of a probe job is there. */
export async function tryQueue(client: RedisClient, prefix: string): Promise<void> {
  await client.eval("redis.call('LPUSH', KEYS[1], 'x'); redis.call('RPOP', KEYS[1])", 1, `${prefix}:probe`)
}
