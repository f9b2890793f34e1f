import { randomUUID } from 'node:crypto'
import { createAdd } from './bullmq/add.ts'
import { createJobClaimer } from './bullmq/claim.ts'
import { QUEUE_NAME } from './bullmq/options.ts'
import { createScript } from './bullmq/script.ts'
import type { RedisClient } from './connection.ts'

/** What BullMQ's scripts call beside those that run here themselves: a job that is put off, renewed, failed, taken over. */
const OTHERS = `
local call = redis.call
local job, lock, list, set, sorted, stream = unpack(KEYS)
call('SET', lock, '1', 'PX', 1000, 'NX')
call('GET', lock)
call('PTTL', lock)
call('HMSET', job, 'a', 1)
call('HINCRBY', job, 'b', 1)
call('HGETALL', job)
call('HEXISTS', job, 'a')
call('HDEL', job, 'a')
call('RPUSH', list, '1')
call('RPOPLPUSH', list, list)
call('LINDEX', list, 0)
call('LPOS', list, '1')
call('RPOP', list)
call('SADD', set, '1')
call('SMEMBERS', set)
call('SREM', set, '1')
call('ZADD', sorted, 1, '1')
call('ZRANGE', sorted, 0, 0)
call('ZRANGEBYSCORE', sorted, 0, 1)
call('ZSCORE', sorted, '1')
call('ZREM', sorted, '1')
call('ZPOPMIN', sorted)
call('XADD', stream, 'MAXLEN', '~', 10, '*', 'event', 'probe')
call('DEL', unpack(KEYS))`

const others = createScript<null>(OTHERS, 6)
const NAMES = ['wait', 'active', 'meta', 'marker', 'completed', 'stalled', 'delayed', 'events', 'missing']

/**
 * Whether an event that is added here can be fetched, completed and put off: runs one job through the scripts that add,
 * take and finish, in a queue of its own under the shard's keys, and calls what the worker calls beside these. Nothing of
 * it stays.
 *
 * @param client of either kind
 * @param prefix of the shard, see `shardPrefix`
 * @throws what Redis refuses it with: NOPERM, READONLY, OOM, NOREPLICAS, MISCONF …
 */
export async function tryQueue(client: RedisClient, prefix: string): Promise<void> {
  const name = `${QUEUE_NAME}:probe-${randomUUID()}`
  const key = (suffix: string) => `${prefix}:${name}:${suffix}`
  const errors: Error[] = []
  const claimer = createJobClaimer(client, prefix, { name, onRefused: (error) => errors.push(error) })
  try {
    await createAdd(client, prefix, name)([{ jobId: 'e-probe', name: 'probe', data: '{}' }])
    await client.bzpopmin(key('marker'), 1)
    const taken = await claimer.take('probe', 1)
    if (errors[0]) throw errors[0]
    if (taken.length === 0) throw new Error('a job that was added could not be fetched')
    const lost = await claimer.finish('probe', [{ id: 'e-probe', attempts: 1 }])
    if (lost.length > 0) throw new Error('a job that was fetched could not be completed')
    const keys = ['job', 'job:lock', 'list', 'stalled', 'delayed', 'events'].map(key)
    await others(client, keys)
  } finally {
    await client.del(...[...NAMES, 'e-probe', 'e-probe:lock'].map(key)).catch(() => {})
  }
}
