import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createQueueReceiver,
  createQueueSender,
  type Outgoing,
  type QueueReceiver,
} from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createRedisServer, type RedisServer } from '../../../chaos/stores/redis.ts'
import { eventually } from '../../../test/support/world.ts'

const log = createLog('test', 'fatal')
const QUEUE = '{refusals-0}:events:'

let stack: AsyncDisposableStack
let redis: RedisServer
const handled = new Set<string>()
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  handled.clear()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-refusals-'))
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  redis = stack.use(await createRedisServer({ dir }))
})
afterEach(() => stack.disposeAsync())

function receive(url = redis.url): QueueReceiver {
  return createQueueReceiver(
    { url, prefix: 'refusals', shards: 1 },
    async (jobs) => {
      for (const { jobId } of jobs) handled.add(jobId)
      return jobs.map(() => ({ kind: 'completed' }))
    },
    { concurrency: 100, log },
  )
}

async function add(count: number, url = redis.url, bytes = 10): Promise<string[]> {
  await using sender = createQueueSender({ url, prefix: 'refusals', shards: 1, acks: 0 }, log)
  await sender.ready(5_000)
  const events = Array.from({ length: count }, () => someEvent(bytes))
  const settled = await Promise.allSettled(events.map((event) => sender.add(event)))
  return events.filter((_, n) => settled[n]?.status === 'fulfilled').map(({ jobId }) => jobId)
}

const lists = async () => {
  const [wait, active] = await Promise.all([
    redis.command('LLEN', `${QUEUE}wait`),
    redis.command('LLEN', `${QUEUE}active`),
  ])
  return { wait, active }
}

it('a user without INFO and other dangerous commands adds jobs and takes them', async () => {
  await redis.command(
    'ACL',
    'SETUSER',
    'app',
    'on',
    '>app',
    'resetchannels',
    '&*',
    '~*',
    '+@all',
    '-@dangerous',
  )
  const url = redis.url.replace(/\/\/.*@/, '//app:app@')
  const added = await add(300, url)
  expect(added).toHaveLength(300)
  stack.use(receive(url))
  await eventually(() => handled.size === 300)
  await eventually(async () => (await lists()).active === 0)
})

it('a receiver that Redis refuses everything asks at longer and longer intervals, ends at once, and goes on when it may', async () => {
  const receiver = receive()
  await add(10)
  await eventually(() => handled.size === 10)
  await redis.command('ACL', 'SETUSER', 'default', '-eval', '-evalsha')
  const calls = async () =>
    Number(
      /cmdstat_evalsha:.*rejected_calls=(\d+)/.exec(
        String(await redis.command('INFO', 'commandstats')),
      )?.[1] ?? 0,
    )
  const before = await calls()
  await redis.command('ZADD', `${QUEUE}marker`, 0, '0')
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  // Each of the first seconds some tries, where a loop without a pause makes thousands.
  expect((await calls()) - before).toBeLessThan(60)
  await redis.command('ACL', 'SETUSER', 'default', '+eval', '+evalsha')
  const added = await add(10)
  await eventually(() => added.every((id) => handled.has(id)))
  await redis.command('ACL', 'SETUSER', 'default', '-eval', '-evalsha')
  await redis.command('ZADD', `${QUEUE}marker`, 0, '0')
  await receiver[Symbol.asyncDispose]()
  await redis.command('ACL', 'SETUSER', 'default', '+eval', '+evalsha')
})

it('a Redis without memory is drained by its workers as it is', async () => {
  const used = Number(/used_memory:(\d+)/.exec(String(await redis.command('INFO', 'memory')))?.[1])
  await redis.configure('maxmemory', used + 2_000_000)
  const added: string[] = []
  for (let round = 0; round < 50; round++) {
    const some = await add(100, redis.url, 2_000)
    added.push(...some)
    if (some.length < 100) break
  }
  expect(added.length).toBeGreaterThan(100)
  // Not a byte is left: what a worker needs for itself would not fit either.
  await redis.configure('maxmemory', used)
  stack.use(receive())
  await eventually(() => added.every((id) => handled.has(id)))
  await eventually(async () => {
    const { wait, active } = await lists()
    return wait === 0 && active === 0
  })
})

function someEvent(bytes: number): Outgoing {
  const jobId = `e-${randomUUID()}`
  const raw = JSON.stringify({ x: 'x'.repeat(bytes) })
  return {
    jobId,
    eventKey: null,
    bodySha256: '',
    journeyId: null,
    envelope: { v: 1, env: 'live', at: Date.now(), arrival: randomUUID(), raw },
  }
}
