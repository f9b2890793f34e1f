import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdd } from '../src/queue/bullmq/add.ts'
import { createJobClaimer } from '../src/queue/bullmq/claim.ts'
import { createRescue } from '../src/queue/bullmq/rescue.ts'
import { queueServerUrl } from './queue-server.ts'

describe('jobs that a script has left in no list', () => {
  const stack = new AsyncDisposableStack()
  let redis: Redis
  beforeAll(() => {
    redis = stack.adopt(new Redis(queueServerUrl()), (opened) => opened.disconnect())
  })
  afterAll(() => stack.disposeAsync())

  function open() {
    const prefix = `{${randomUUID()}}`
    const key = (name: string) => `${prefix}:events:${name}`
    const add = createAdd(redis, prefix)
    return {
      key,
      add: (...ids: string[]) => add(ids.map((jobId) => ({ jobId, name: 'a', data: '{"n":1}' }))),
      claimer: createJobClaimer(redis, prefix, { mostCompleted: () => 1_000 }),
      rescue: createRescue(redis, prefix),
      waiting: () => redis.lrange(key('wait'), 0, -1),
      hash: (id: string, ageMs: number, ...more: string[]) =>
        redis.hset(key(id), 'name', 'a', 'data', '{}', 'timestamp', Date.now() - ageMs, ...more),
    }
  }

  it('wait again once two rounds have found them', async () => {
    const { key, add, rescue, waiting, hash, claimer } = open()
    await add('e-waits')
    await add('e-active')
    await redis.hset(key('e-waits'), 'timestamp', 1)
    await redis.hset(key('e-active'), 'timestamp', 1)
    await claimer.take('token', 1)
    await hash('e-lost', 61_000)
    await hash('e-young', 1_000)
    await hash('e-finished', 61_000, 'finishedOn', '1')
    await hash('e-locked', 61_000)
    await redis.set(key('e-locked:lock'), 'token')
    await hash('e-delayed', 61_000)
    await redis.zadd(key('delayed'), 1, 'e-delayed')
    await redis.del(key('marker'))

    expect(await rescue()).toEqual({ back: 0, forgotten: 0 })
    expect(await rescue()).toEqual({ back: 1, forgotten: 0 })

    expect(await waiting()).toEqual(['e-lost', 'e-active'])
    expect(await redis.exists(key('marker'))).toBe(1)
    expect(await rescue()).toEqual({ back: 0, forgotten: 0 })
  })

  it('wait again when a hash is there again that could not be found, and are forgotten ten minutes later', async () => {
    const { key, add, rescue, waiting, claimer } = open()
    await add('e-1', 'e-2', 'e-3', 'e-4')
    const hashes = await Promise.all(['e-1', 'e-2', 'e-3'].map((id) => redis.dumpBuffer(key(id))))
    await redis.del(key('e-1'), key('e-2'), key('e-3'))

    expect((await claimer.take('token', 10)).map(({ id }) => id)).toEqual(['e-4'])
    expect(await redis.zrange(key('missing'), 0, '-1')).toEqual(['e-1', 'e-2', 'e-3'])
    await redis.restore(key('e-2'), 0, hashes[1] as Buffer)
    await redis.zadd(key('missing'), Date.now() - 601_000, 'e-3')

    expect(await rescue()).toEqual({ back: 1, forgotten: 1 })
    expect(await waiting()).toEqual(['e-2'])
    expect(await redis.zrange(key('missing'), 0, '-1')).toEqual(['e-1'])
  })

  it('are none where a script ends in the middle: what was to be taken waits still', async () => {
    const { key, add, waiting, claimer } = open()
    await add('e-1', 'e-2')
    await redis.set(key('active'), 'no list')

    expect(await claimer.take('token', 10)).toEqual([])

    expect(await waiting()).toEqual(['e-2', 'e-1'])
    await redis.del(key('active'))
    expect((await claimer.take('other token', 10)).map(({ id }) => id)).toEqual(['e-1', 'e-2'])
  })

  it('are none where completing ends in the middle: a job is handed out anew, or completed', async () => {
    const { key, add, claimer } = open()
    await add('e-1', 'e-2')
    await claimer.take('token', 10)
    await redis.set(key('stalled'), 'no set')
    const ended = ['e-1', 'e-2'].map((id) => ({ id, attempts: 1 }))
    await expect(claimer.finish('token', ended)).rejects.toThrow('WRONGTYPE')
    await redis.del(key('stalled'))

    // As BullMQ's check for stalled jobs puts back what is active without a lock.
    await redis.lpush(key('wait'), 'e-1')

    expect(await claimer.take('token', 10)).toEqual([])
    expect(await redis.exists(key('wait'))).toBe(0)
    expect((await redis.zrange(key('completed'), 0, '-1')).toSorted()).toEqual(['e-1', 'e-2'])
  })

  it('are none where adding ends in the middle', async () => {
    const { key, add } = open()
    await redis.set(key('e-2'), 'no hash')

    await expect(add('e-1', 'e-2', 'e-3')).rejects.toThrow('WRONGTYPE')

    expect(await redis.exists(key('e-1'), key('e-3'), key('wait'))).toBe(0)
  })
})

describe('completed jobs', () => {
  it('are no more than the limit says; the oldest go first', async () => {
    using stack = new DisposableStack()
    const redis = stack.adopt(new Redis(queueServerUrl()), (opened) => opened.disconnect())
    const prefix = `{${randomUUID()}}`
    const claimer = createJobClaimer(redis, prefix, { mostCompleted: () => 3 })
    for (let n = 0; n < 6; n++) {
      await createAdd(redis, prefix)([{ jobId: `e-${n}`, name: 'a', data: '{}' }])
      await claimer.take('token', 1)
      await claimer.finish('token', [{ id: `e-${n}`, attempts: 1 }])
    }
    expect(await redis.zcard(`${prefix}:events:completed`)).toBe(3)
    expect(await redis.exists(`${prefix}:events:e-0`, `${prefix}:events:e-2`)).toBe(0)
    expect(await redis.exists(`${prefix}:events:e-5`)).toBe(1)
  })
})
