import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRedisCluster, moveSlot, type RedisCluster } from '@sluice/testkit/redis-cluster'
import type { RedisServer } from '@sluice/testkit/redis-server'
import { eventually } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdd } from '../src/queue/bullmq/add.ts'
import { createJobClaimer } from '../src/queue/bullmq/claim.ts'
import { createFinish } from '../src/queue/bullmq/finish.ts'
import { queueKeys, shardPrefix } from '../src/queue/bullmq/keys.ts'
import { connectRedis } from '../src/queue/connection.ts'
import { createQueueConsumer } from '../src/queue/index.ts'
import { createLog } from '../src/runtime/index.ts'

describe('a queue on a Redis Cluster', () => {
  const stack = new AsyncDisposableStack()
  let cluster: RedisCluster
  beforeAll(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-queue-on-cluster-'))
    stack.defer(() => rm(dir, { recursive: true }))
    cluster = stack.use(await createRedisCluster(dir, { masters: 3 }))
  })
  afterAll(() => stack.disposeAsync())

  it('is read on a blocking connection that has the name which BullMQ gives it', async () => {
    const location = { url: cluster.url, prefix: 'named', shards: 1 }
    stack.use(
      createQueueConsumer(location, async () => [], { concurrency: 4, log: createLog('test', 'silent') }),
    )
    const blocked = await eventually(async () => {
      const lists = await Promise.all(cluster.nodes.map((node) => node.command('CLIENT', 'LIST')))
      return lists.join('').match(/.* cmd=bzpopmin .*/)?.[0]
    })
    expect(blocked).toContain(` name=${shardPrefix('named', 0)}:`)
  })

  it.each([
    ['begins to move', []],
    ['has moved with its lists, but not with its jobs', ['wait', 'active', 'meta']],
  ] as const)('gives out no job of a shard that %s, and all of them afterwards', async (_, moved) => {
    const prefix = `{moving-${moved.length}}`
    const client = stack.adopt(connectRedis(cluster.url, 'worker'), (opened) => opened.disconnect())
    const claimer = createJobClaimer(client, prefix)
    const finish = createFinish(client, prefix, { mostCompleted: () => 1_000 })
    const keys = queueKeys(prefix)
    const add = createAdd(client, prefix)
    await add(['e-1', 'e-2', 'e-3'].map((jobId) => ({ jobId, name: 'a', data: '{}' })))
    await client.hset(keys.meta, 'opts.maxLenEvents', '1000')
    expect((await claimer.claim('token', 1)).map(({ id }) => id)).toEqual(['e-1'])
    const slot = await cluster.slotOf(prefix)
    const from = await cluster.ownerOf(slot)
    const to = cluster.nodes.find((node) => node !== from) as RedisServer
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(await from.command('CLUSTER', 'MYID')))
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(await to.command('CLUSTER', 'MYID')))
    const password = new URL(to.url).password
    const names = moved.map((name) => keys[name])
    const args = ['127.0.0.1', to.port, '', 0, 5_000, 'AUTH', password, 'KEYS', ...names]
    if (names.length > 0) await from.command('MIGRATE', ...args)

    expect(await claimer.claim('token', 5)).toEqual([])
    await expect(add([{ jobId: 'e-1', name: 'b', data: '{}' }])).rejects.toThrow()

    await moveSlot(cluster, slot, to)
    expect((await claimer.claim('token', 5)).map(({ id }) => id)).toEqual(['e-2', 'e-3'])
    const ended = ['e-1', 'e-2', 'e-3'].map((id) => ({ id, attempts: 1 }))
    expect(await finish('token', ended)).toEqual([])
  })
})
