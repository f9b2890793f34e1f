import type { Redis } from 'ioredis'

/** The keys of a queue, each with its type and its value, as ordinary commands read and write them. */
export type StoredKeys = Record<string, StoredValue>
type StoredValue =
  | { type: 'string'; value: string }
  | { type: 'list' | 'set'; value: string[] }
  | { type: 'hash'; value: Record<string, string> }
  | { type: 'zset'; value: Record<string, string> }
  | { type: 'stream'; value: [id: string, fields: string[]][] }

/** Reads all keys that start with `prefix`, without it. A key that expires by itself is left out. */
export async function readKeys(redis: Redis, prefix: string): Promise<StoredKeys> {
  const names = (await redis.keys(`${prefix}*`)).sort()
  const keys: StoredKeys = {}
  for (const name of names) {
    if ((await redis.ttl(name)) === -1) keys[name.slice(prefix.length)] = await readKey(redis, name)
  }
  return keys
}

async function readKey(redis: Redis, name: string): Promise<StoredValue> {
  const type = await redis.type(name)
  switch (type) {
    case 'string':
      return { type, value: (await redis.get(name)) ?? '' }
    case 'list':
      return { type, value: await redis.lrange(name, 0, -1) }
    case 'set':
      return { type, value: await redis.smembers(name) }
    case 'hash':
      return { type, value: await redis.hgetall(name) }
    case 'zset': {
      const flat = await redis.zrange(name, 0, '-1', 'WITHSCORES')
      const pairs = flat.flatMap((member, at) => (at % 2 === 0 ? [[member, flat[at + 1]]] : []))
      return { type, value: Object.fromEntries(pairs) }
    }
    case 'stream':
      return { type, value: await redis.xrange(name, '-', '+') }
    default:
      throw new Error(`${name} has the type ${type}`)
  }
}

/** Writes keys, `prefix` before each. */
export async function writeKeys(redis: Redis, prefix: string, keys: StoredKeys): Promise<void> {
  const pipeline = redis.pipeline()
  for (const [name, stored] of Object.entries(keys)) {
    const key = prefix + name
    switch (stored.type) {
      case 'string':
        pipeline.set(key, stored.value)
        break
      case 'list':
        pipeline.rpush(key, ...stored.value)
        break
      case 'set':
        pipeline.sadd(key, ...stored.value)
        break
      case 'hash':
        pipeline.hset(key, stored.value)
        break
      case 'zset':
        for (const [member, score] of Object.entries(stored.value)) pipeline.zadd(key, score, member)
        break
      case 'stream':
        for (const [id, fields] of stored.value) pipeline.xadd(key, id, ...fields)
        break
      default:
        stored satisfies never
    }
  }
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
}
