import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createQueueSender, type Outgoing, type QueueSender } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startProxy, type TcpProxy } from '../../../chaos/proxy.ts'
import { createRedisServer, type RedisServer } from '../../../chaos/stores/redis.ts'
import { createRedisCluster } from '../../../test/support/redis-cluster.ts'
import { eventually } from '../../../test/support/world.ts'

const log = createLog('test', 'fatal')
const QUEUE = '{acks-0}:events:'

let stack: AsyncDisposableStack
let dir: string
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  dir = await mkdtemp(join(tmpdir(), 'sluice-acks-'))
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
})
afterEach(() => stack.disposeAsync())

describe('a Redis with a replica', () => {
  let master: RedisServer
  let replica: RedisServer
  let line: TcpProxy
  beforeEach(async () => {
    master = stack.use(await createRedisServer({ dir: join(dir, 'master') }))
    line = stack.use(await startProxy(() => master.port))
    replica = stack.use(await createRedisServer({ dir: join(dir, 'replica') }))
    await replica.command('REPLICAOF', '127.0.0.1', line.port)
    await eventually(async () => /state=online/.test(String(await master.command('INFO', 'replication'))))
  })
  const open = async (acks: 'auto' | number) => {
    const sender = stack.use(createQueueSender({ url: master.url, prefix: 'acks', shards: 1, acks }, log))
    await eventually(() => sender.isReady)
    return sender
  }

  it('has every event that was acknowledged on its replica, which was found by itself', async () => {
    const sender = await open('auto')
    const events = await addMany(sender, 500)
    await line.set({ kind: 'black-hole' })
    const late = await addMany(sender, 50)
    await master.kill()
    await replica.command('REPLICAOF', 'NO', 'ONE')
    expect(events.every(({ isAcknowledged }) => isAcknowledged)).toBe(true)
    expect(late.some(({ isAcknowledged }) => isAcknowledged)).toBe(false)
    for (const { event } of events) {
      expect(await replica.command('EXISTS', QUEUE + event.jobId)).toBe(1)
    }
  })

  it('is not waited for where nobody asks for it: what was acknowledged may be gone', async () => {
    const sender = await open(0)
    await line.set({ kind: 'black-hole' })
    const [added] = await addMany(sender, 1)
    expect(added?.isAcknowledged).toBe(true)
    expect(await replica.command('EXISTS', QUEUE + added?.event.jobId)).toBe(0)
  })

  it('is refused once too many events were not replicated, so that the others need not wait', async () => {
    const sender = await open(1)
    await line.set({ kind: 'black-hole' })
    await addMany(sender, 10)
    expect(sender.health).toBe('down')
    await line.set({ kind: 'pass' })
    await eventually(async () => (await addMany(sender, 1))[0]?.isAcknowledged)
    await eventually(async () => (await addMany(sender, 1)) && sender.health === 'up')
  })
})

it('a replica that comes later is waited for', async () => {
  const master = stack.use(await createRedisServer({ dir: join(dir, 'master') }))
  const sender = stack.use(createQueueSender({ url: master.url, prefix: 'acks', shards: 1 }, log))
  await eventually(() => sender.isReady)
  expect((await addMany(sender, 1))[0]?.isAcknowledged).toBe(true)
  const replica = stack.use(await createRedisServer({ dir: join(dir, 'replica') }))
  await replica.command('REPLICAOF', '127.0.0.1', master.port)
  const client = stack.adopt(new Redis(master.url), (redis) => redis.disconnect())
  await eventually(async () => {
    await addMany(sender, 1)
    return /cmdstat_wait:calls=[1-9]/.test(await client.info('commandstats'))
  })
})

it('the master of a cluster that dies takes its own shards out of the queue, and its replica has all they had', async () => {
  const cluster = stack.use(await createRedisCluster(dir, { replicas: 1 }))
  const shards = 6
  const sender = stack.use(createQueueSender({ url: cluster.url, prefix: 'acks', shards }, log))
  await eventually(() => sender.health === 'up')
  const before = await addMany(sender, 300)
  expect(before.every(({ isAcknowledged }) => isAcknowledged)).toBe(true)
  const victim = await cluster.ownerOf(await cluster.slotOf('{acks-0}'))
  await victim.kill()
  const meanwhile = await addMany(sender, 300)
  expect(meanwhile.some(({ isAcknowledged }) => isAcknowledged)).toBe(true)
  await eventually(async () => {
    await addMany(sender, 20)
    return /^\d of 6 shards down$/.test(sender.health)
  })
  // Its replica takes over, and has no replica of its own any more: its events stay out of Redis.
  const slot = await cluster.slotOf('{acks-0}')
  await eventually(async () => (await cluster.ownerOf(slot)) !== victim)
  const found = await Promise.all(
    [...before, ...meanwhile]
      .filter(({ isAcknowledged }) => isAcknowledged)
      .map(async ({ event }) => {
        const nodes = cluster.nodes.filter(({ isRunning }) => isRunning)
        const counts = nodes.map((node) =>
          Promise.all(
            Array.from({ length: shards }, (_, shard) =>
              node.command('EXISTS', `{acks-${shard}}:events:${event.jobId}`).catch(() => 0),
            ),
          ),
        )
        return (await Promise.all(counts)).flat().includes(1)
      }),
  )
  expect(found.every(Boolean)).toBe(true)
})

async function addMany(
  sender: QueueSender,
  count: number,
): Promise<{ event: Outgoing; isAcknowledged: boolean }[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const event = someEvent()
      const isAcknowledged = await sender.add(event).then(
        () => true,
        () => false,
      )
      return { event, isAcknowledged }
    }),
  )
}

function someEvent(): Outgoing {
  const jobId = `e-${randomUUID()}`
  return {
    jobId,
    eventKey: null,
    bodySha256: '',
    journeyId: jobId,
    envelope: { v: 1, env: 'live', at: Date.now(), arrival: randomUUID(), raw: '{}' },
  }
}
