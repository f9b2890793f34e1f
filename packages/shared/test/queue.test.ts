import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '@sluice/testkit/world'
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdd } from '../src/queue/bullmq/add.ts'
import { queueKeys, shardPrefix } from '../src/queue/bullmq/keys.ts'
import {
  createQueueAdmin,
  createQueueConsumer,
  type HandleResult,
  openQueue,
  type QueueJob,
} from '../src/queue/index.ts'
import { createLog } from '../src/runtime/index.ts'
import { queueServerUrl } from './queue-server.ts'

/** BullMQ's view of jobs that our script has added, and of some that BullMQ has added itself. */
describe('jobs that are added many at once', () => {
  const stack = new AsyncDisposableStack()
  let connection: Redis
  beforeAll(() => {
    connection = stack.adopt(new Redis(queueServerUrl(), { maxRetriesPerRequest: null }), (redis) =>
      redis.disconnect(),
    )
  })
  afterAll(() => stack.disposeAsync())

  function open() {
    const prefix = `{${randomUUID()}}`
    const queue = stack.adopt(openQueue(connection, prefix), (opened) => opened.close())
    return { prefix, queue, add: createAdd(connection, prefix) }
  }

  it('are jobs to BullMQ, in the order in which they were added, like its own', async () => {
    const { queue, add } = open()
    await queue.add('own', { n: 0 }, { jobId: 'e-0' })
    await add([
      { jobId: 'e-1', name: 'first', data: '{"n":1}' },
      { jobId: 'e-2', name: 'second', data: '{"n":2}' },
    ])
    await queue.add('own', { n: 3 }, { jobId: 'e-3' })

    const waiting = await queue.getWaiting()
    expect(waiting.map(({ id, data }) => [id, data])).toEqual([
      ['e-0', { n: 0 }],
      ['e-1', { n: 1 }],
      ['e-2', { n: 2 }],
      ['e-3', { n: 3 }],
    ])
    const [own, ours] = await Promise.all(['e-3', 'e-1'].map((id) => queue.getJob(id)))
    expect(await ours?.getState()).toBe(await own?.getState())
    expect(Math.abs((ours?.timestamp ?? 0) - (own?.timestamp ?? 0))).toBeLessThan(5_000)
  })

  it('wake a worker that waits, and are done by it', async () => {
    const { prefix, queue, add } = open()
    const done: unknown[] = []
    const worker = stack.adopt(
      new Worker(queue.name, async ({ data }) => void done.push(data), {
        connection,
        prefix,
        drainDelay: 60,
      }),
      (opened) => opened.close(true),
    )
    await worker.waitUntilReady()

    await add([{ jobId: 'e-1', name: 'a', data: '{"n":1}' }])

    await eventually(() => done.length === 1)
    expect(done).toEqual([{ n: 1 }])
    await eventually(async () => (await queue.getJobCounts('completed')).completed === 1)
  })

  it('are left alone if they exist, and those that another delivery made are returned', async () => {
    const { queue, add } = open()
    const jobs = ['e-1', 'e-2', 'e-3'].map((jobId) => ({ jobId, name: 'first', data: '{"n":1}' }))
    expect(await add(jobs)).toEqual([])

    const again = [
      { jobId: 'e-2', name: 'second', data: '{"n":2}' },
      { jobId: 'e-1', name: 'first', data: '{"n":2}' },
      { jobId: 'e-4', name: 'second', data: '{"n":2}' },
      { jobId: 'e-4', name: 'third', data: '{"n":3}' },
    ]
    expect(await add(again)).toEqual([0, 3])

    const waiting = await queue.getWaiting()
    expect(waiting.map(({ id, name, data }) => [id, name, data.n])).toEqual([
      ['e-1', 'first', 1],
      ['e-2', 'first', 1],
      ['e-3', 'first', 1],
      ['e-4', 'second', 2],
    ])
  })

  it('wake no worker while the queue is paused', async () => {
    const { prefix, queue, add } = open()
    await queue.pause()
    await add([{ jobId: 'e-1', name: 'a', data: '{}' }])
    expect(await connection.exists(queueKeys(prefix).marker)).toBe(0)

    await queue.resume()
    expect(await connection.exists(queueKeys(prefix).marker)).toBe(1)
    expect(await queue.getJobCounts('waiting')).toEqual({ waiting: 1 })
  })
})

describe('jobs that are claimed and completed together', () => {
  const stack = new AsyncDisposableStack()
  let connection: Redis
  beforeAll(() => {
    connection = stack.adopt(new Redis(queueServerUrl(), { maxRetriesPerRequest: null }), (redis) =>
      redis.disconnect(),
    )
  })
  afterAll(() => stack.disposeAsync())

  type Handle = (job: QueueJob) => Promise<HandleResult>
  function open(handle: Handle, concurrency = 50) {
    const location = { url: queueServerUrl(), prefix: randomUUID(), shards: 1 }
    const prefix = shardPrefix(location.prefix, 0)
    const queue = stack.adopt(openQueue(connection, prefix), (opened) => opened.close())
    const log = createLog('test', 'silent')
    const handleAll = (jobs: readonly QueueJob[]) => Promise.all(jobs.map(handle))
    const stages: [stage: string, jobs: number][] = []
    const startBatch = () => (stage: string, jobs: number) => void stages.push([stage, jobs])
    stack.use(createQueueConsumer(location, handleAll, { concurrency, startBatch, log }))
    const add = createAdd(connection, prefix)
    return {
      location,
      queue,
      stages,
      keys: queueKeys(prefix),
      add: (...ids: string[]) => add(ids.map((jobId) => ({ jobId, name: 'a', data: '{"n":1}' }))),
    }
  }
  const completed: HandleResult = { kind: 'completed' }
  const ids = (count: number) => Array.from({ length: count }, (_, n) => `e-${n}`)

  it('are all handled once, and leave only what redeliveries have to find', async () => {
    const handled: string[] = []
    const { queue, keys, stages, add } = open(async ({ jobId }) => {
      handled.push(jobId)
      return completed
    })
    await add(...ids(180))
    await add(...ids(200))

    await eventually(async () => (await queue.getCompletedCount()) === 200)
    expect(handled.toSorted()).toEqual(ids(200).toSorted())
    const jobsIn = (stage: string) =>
      stages.reduce((sum, [name, jobs]) => sum + (name === stage ? jobs : 0), 0)
    await eventually(async () => jobsIn('finish') === 200)
    expect([jobsIn('take'), jobsIn('land')]).toEqual([200, 200])
    expect(await queue.getJobCounts('active', 'waiting', 'delayed', 'failed')).toEqual({
      active: 0,
      waiting: 0,
      delayed: 0,
      failed: 0,
    })
    const job = await queue.getJob('e-7')
    expect(await job?.getState()).toBe('completed')
    expect(job).toMatchObject({ name: 'a', data: {}, attemptsMade: 1, attemptsStarted: 1 })
    expect(await connection.exists(...ids(200).map((id) => keys.lock(id)))).toBe(0)
    expect(await connection.exists(keys.stalled)).toBe(0)
  })

  it('are removed after an hour', async () => {
    const { queue, keys, add } = open(async () => completed)
    await add('e-old')
    await eventually(async () => (await queue.getCompletedCount()) === 1)
    await connection.zadd(keys.completed, Date.now() - 3_601_000, 'e-old')

    await add('e-new')

    await eventually(async () => (await queue.getJob('e-old')) === undefined)
    expect((await queue.getCompleted()).map(({ id }) => id)).toEqual(['e-new'])
  })

  it('are removed after an hour even if nothing else is finished', async () => {
    const { queue, keys, add, location } = open(async () => completed)
    await add(...ids(3))
    await eventually(async () => (await queue.getCompletedCount()) === 3)
    await connection.zadd(keys.completed, Date.now() - 3_601_000, 'e-0', Date.now() - 3_601_000, 'e-1')
    const admin = stack.use(createQueueAdmin(location, createLog('test', 'silent')))
    await admin.ready(3_000)

    await admin.removeOldJobs()

    expect((await queue.getCompleted()).map(({ id }) => id)).toEqual(['e-2'])
    expect(await connection.exists(keys.job('e-0'), keys.job('e-1'))).toBe(0)
  })

  it('leave room for one that is tried again while others keep coming', async () => {
    let tries = 0
    let others = 0
    const { add } = open(async ({ jobId }) => {
      if (jobId !== 'e-again') return completed
      if (++tries === 1) return { kind: 'failed', error: new Error('not yet') }
      return completed
    }, 2)
    await add('e-again')
    await eventually(async () => {
      await add(...ids(50).map((id) => `${id}-${others}`))
      others++
      return tries === 2
    })
  })

  it('wait for their time if they are delayed, and for the queue if it is paused', async () => {
    let handled = 0
    const { queue, add } = open(async () => {
      handled++
      return handled === 1 ? { kind: 'delayed', ms: 200 } : completed
    }, 1)
    await add('e-1')
    await eventually(async () => (await queue.getCompletedCount()) === 1)
    expect(handled).toBe(2)

    await queue.pause()
    await add('e-2')
    await pause(300)
    expect(handled).toBe(2)
    await queue.resume()
    await eventually(async () => (await queue.getCompletedCount()) === 2)
  })

  it('are all handled if another program has overwritten or deleted one of them', async () => {
    const handled: string[] = []
    const { queue, keys, add } = open(async ({ jobId }) => {
      handled.push(jobId)
      return completed
    })
    await queue.pause()
    await add(...ids(20))
    await connection.set(keys.job('e-7'), 'no hash')
    await connection.del(keys.job('e-8'))
    await queue.resume()

    await eventually(async () => (await queue.getCompletedCount()) === 18)
    expect(handled.toSorted()).toEqual(ids(20).toSpliced(7, 2).toSorted())
    expect(await queue.getJobCounts('active', 'waiting')).toEqual({ active: 0, waiting: 0 })
  })

  it('are not completed by a worker that has lost the lock', async () => {
    let lost = ''
    const { queue, keys, add } = open(async ({ jobId }) => {
      if (jobId !== lost) return completed
      await connection.set(keys.lock(jobId), 'of another worker')
      return completed
    })
    for (const [at, id] of ['e-1', 'e-4'].entries()) {
      lost = id
      // BullMQ fetches the first one; the last one is claimed with it.
      await add(`e-${3 * at + 1}`, `e-${3 * at + 2}`, `e-${3 * at + 3}`)
      await eventually(async () => (await connection.get(keys.lock(id))) === 'of another worker')
      await pause(300)
      expect(await queue.getJobCounts('completed', 'active')).toEqual({
        completed: 2 * (at + 1),
        active: at + 1,
      })
    }
  })

  it('fail, are delayed and are completed one by one, whichever came first', async () => {
    const outcomes: HandleResult[] = [
      { kind: 'failed', error: new Error('not yet') },
      { kind: 'delayed', ms: 200 },
      completed,
    ]
    const tries = new Map<string, number>()
    const { queue, add } = open(async ({ jobId, attempt }) => {
      const before = tries.get(jobId) ?? 0
      tries.set(jobId, before + 1)
      if (before > 0) expect(attempt).toBe(Number(jobId.slice(2)) % 3 === 0 ? 2 : 1)
      return before > 0 ? completed : (outcomes[Number(jobId.slice(2)) % 3] ?? completed)
    }, 60)
    await add(...ids(60))

    await eventually(async () => (await queue.getCompletedCount()) === 60)
    expect([...tries.values()].reduce((sum, count) => sum + count)).toBe(100)
    expect(await queue.getJobCounts('active', 'failed', 'delayed')).toEqual({
      active: 0,
      failed: 0,
      delayed: 0,
    })
  })

  it('with garbage in the fields that nothing reads are handled', async () => {
    const handled: string[] = []
    const { queue, keys, add } = open(async ({ jobId }) => {
      handled.push(jobId)
      return completed
    })
    await queue.pause()
    // Enough of them that a batch claims the last one, not BullMQ.
    await add(...ids(20))
    await connection.hset(keys.job('e-19'), 'progress', '{', 'opts', '{')
    await queue.resume()

    await eventually(async () => (await queue.getCompletedCount()) === 20)
    expect(handled.toSorted()).toEqual(ids(20).toSorted())
  })

  it('keep their locks for as long as they take', async () => {
    const { queue, add } = open(async () => {
      await pause(18_000)
      return completed
    })
    await add(...ids(5))

    await eventually(async () => (await queue.getCompletedCount()) === 5, 40_000)
    const jobs = await queue.getCompleted()
    expect(jobs.map(({ attemptsStarted, stalledCounter }) => [attemptsStarted, stalledCounter])).toEqual(
      jobs.map(() => [1, 0]),
    )
  }, 60_000)
})
