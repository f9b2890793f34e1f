import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shardPrefix } from '@sluice/shared/queue'
import { finishedJourney } from '@sluice/testkit/event'
import { createRedisCluster, moveSlot, type RedisCluster } from '@sluice/testkit/redis-cluster'
import { createWorld, eventually, openDoor, openWorker } from '@sluice/testkit/world'
import type { Cluster, Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
      const slot = await cluster.slotOf(shardPrefix(world.queuePrefix, shard))
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

  it('ends no process when the node to which a slot moves hangs', async () => {
    const client = stack.adopt(connectRedis(cluster.url, 'ingest') as Cluster, (c) => c.disconnect())
    client.on('error', () => {})
    await eventually(() => client.status === 'ready' && client.nodes().length === 3)
    const [node] = client.nodes() as [Redis]
    const server = cluster.nodes.find(({ port }) => port === node.options.port)
    server?.signal('SIGSTOP')
    stack.defer(() => server?.signal('SIGCONT'))
    // Otherwise it rejects, and ioredis has no handler for that.
    await expect(node.asking()).resolves.toBeUndefined()
    server?.signal('SIGCONT')
  })
})
