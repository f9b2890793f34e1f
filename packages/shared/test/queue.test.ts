import { randomUUID } from 'node:crypto'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { eventually } from '../../../test/support/world.ts'
import { createAdd } from '../src/queue/add.ts'

/** BullMQ's own view of jobs that were added by our script, beside some that BullMQ has added itself. */
describe('jobs that are added many at once', () => {
  const stack = new AsyncDisposableStack()
  let connection: Redis
  beforeAll(() => {
    connection = stack.adopt(new Redis(inject('redisUrl'), { maxRetriesPerRequest: null }), (redis) =>
      redis.disconnect(),
    )
  })
  afterAll(() => stack.disposeAsync())

  function open() {
    const prefix = `{${randomUUID()}}`
    const queue = stack.adopt(new Queue('events', { connection, prefix }), (opened) => opened.close())
    return { prefix, queue, add: createAdd(connection, prefix) }
  }

  it('are jobs to BullMQ, in the order in which they came, like those that it adds itself', async () => {
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
      new Worker('events', async ({ data }) => void done.push(data), { connection, prefix, drainDelay: 60 }),
      (opened) => opened.close(true),
    )
    await worker.waitUntilReady()

    await add([{ jobId: 'e-1', name: 'a', data: '{"n":1}' }])

    await eventually(() => done.length === 1)
    expect(done).toEqual([{ n: 1 }])
    await eventually(async () => (await queue.getJobCounts('completed')).completed === 1)
  })

  it('are left alone where they exist, in whatever state, and those of another arrival are told', async () => {
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

  it('wake nobody while the queue is paused', async () => {
    const { prefix, queue, add } = open()
    await queue.pause()
    await add([{ jobId: 'e-1', name: 'a', data: '{}' }])
    expect(await connection.exists(`${prefix}:events:marker`)).toBe(0)

    await queue.resume()
    expect(await connection.exists(`${prefix}:events:marker`)).toBe(1)
    expect(await queue.getJobCounts('waiting')).toEqual({ waiting: 1 })
  })
})
