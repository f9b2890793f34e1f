import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finishedJourney } from '@sluice/testkit/event'
import { createRedisCluster, moveSlot, type RedisCluster } from '@sluice/testkit/redis-cluster'
import type { RedisServer } from '@sluice/testkit/redis-server'
import { createWorld, eventually, openDoor, openWorker } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdd } from '../src/queue/bullmq/add.ts'
import { createJobClaimer } from '../src/queue/bullmq/claim.ts'
import { connectRedis } from '../src/queue/connection.ts'

const SENDERS = 4
const BACKLOG = 400

describe('a Redis Cluster whose slots move while jobs wait in them', async () => {
  const stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-moving-'))
  stack.defer(() => rm(dir, { recursive: true }))
  afterAll(() => stack.disposeAsync())
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = stack.use(await createRedisCluster(dir, { masters: 3 }))
  })

  it.each([
    ['begins to move', []],
    ['has moved with its lists, but not with its jobs', ['wait', 'active', 'meta']],
  ])('gives out no job of a shard that %s, and all of them afterwards', async (_, moved) => {
    const prefix = `{moving-${moved.length}}`
    const client = stack.adopt(connectRedis(cluster.url, 'worker'), (opened) => opened.disconnect())
    const claimer = createJobClaimer(client, prefix, { mostCompleted: () => 1_000 })
    const add = createAdd(client, prefix)
    await add(['e-1', 'e-2', 'e-3'].map((jobId) => ({ jobId, name: 'a', data: '{}' })))
    await client.hset(`${prefix}:events:meta`, 'opts.maxLenEvents', '1000')
    expect((await claimer.take('token', 1)).map(({ id }) => id)).toEqual(['e-1'])
    const slot = await cluster.slotOf(prefix)
    const from = await cluster.ownerOf(slot)
    const to = cluster.nodes.find((node) => node !== from) as RedisServer
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(await from.command('CLUSTER', 'MYID')))
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(await to.command('CLUSTER', 'MYID')))
    const password = new URL(to.url).password
    const keys = moved.map((name) => `${prefix}:events:${name}`)
    const args = ['127.0.0.1', to.port, '', 0, 5_000, 'AUTH', password, 'KEYS', ...keys]
    if (keys.length > 0) await from.command('MIGRATE', ...args)

    expect(await claimer.take('token', 5)).toEqual([])
    await expect(add([{ jobId: 'e-1', name: 'b', data: '{}' }])).rejects.toThrow()

    await moveSlot(cluster, slot, to)
    expect((await claimer.take('token', 5)).map(({ id }) => id)).toEqual(['e-2', 'e-3'])
    const ended = ['e-1', 'e-2', 'e-3'].map((id) => ({ id, attempts: 1 }))
    expect(await claimer.finish('token', ended)).toEqual([])
  })

  it('loses nothing that was answered 200', async () => {
    const world = stack.use(await createWorld('redis', { redisUrl: cluster.url, shards: 2 }))
    const door = stack.use(await openDoor(world))
    const answered: string[] = []
    async function send(): Promise<void> {
      const { eventId, bytes } = finishedJourney()
      if ((await door.post(bytes)).status === 200) answered.push(eventId)
    }
    let isSending = true
    const senders = Array.from({ length: SENDERS }, async () => {
      while (isSending) await send()
    })
    await eventually(() => answered.length >= BACKLOG)
    stack.use(await openWorker(world))

    for (const shard of [0, 1, 0]) {
      const slot = await cluster.slotOf(`{${world.queuePrefix}-${shard}}`)
      const from = await cluster.ownerOf(slot)
      const to = cluster.nodes.find((node) => node !== from)
      if (to) await moveSlot(cluster, slot, to, { keys: 5, betweenMs: 2 })
      const before = answered.length
      await eventually(() => answered.length > before + 50)
    }
    isSending = false
    await Promise.all(senders)

    const lost = async () => {
      const landed = new Set(
        (await world.rows<{ event_id: string }>('select event_id from events')).map((row) => row.event_id),
      )
      return answered.filter((id) => !landed.has(id))
    }
    await eventually(async () => (await lost()).length === 0, 45_000)
    expect(await world.rows('select reason from dead_letters')).toEqual([])
  }, 120_000)
})
