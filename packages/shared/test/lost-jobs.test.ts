import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdd } from '../src/queue/bullmq/add.ts'
import { createJobClaimer } from '../src/queue/bullmq/claim.ts'
import { createFinish } from '../src/queue/bullmq/finish.ts'
import { FIELD, queueKeys } from '../src/queue/bullmq/keys.ts'
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
    const keys = queueKeys(prefix)
    const add = createAdd(redis, prefix)
    return {
      keys,
      add: (...ids: string[]) => add(ids.map((jobId) => ({ jobId, name: 'a', data: '{"n":1}' }))),
      claimer: createJobClaimer(redis, prefix),
      finish: createFinish(redis, prefix, { mostCompleted: () => 1_000 }),
      rescue: createRescue(redis, prefix),
      waiting: () => redis.lrange(keys.wait, 0, -1),
      hash: (id: string, ageMs: number, ...more: string[]) =>
        redis.hset(
          keys.job(id),
          FIELD.name,
          'a',
          FIELD.data,
          '{}',
          FIELD.timestamp,
          Date.now() - ageMs,
          ...more,
        ),
    }
  }

  it('wait again once two rounds have found them', async () => {
    const { keys, add, rescue, waiting, hash, claimer } = open()
    await add('e-waits')
    await add('e-active')
    await redis.hset(keys.job('e-waits'), FIELD.timestamp, 1)
    await redis.hset(keys.job('e-active'), FIELD.timestamp, 1)
    await claimer.claim('token', 1)
    await hash('e-lost', 61_000)
    await hash('e-young', 1_000)
    await hash('e-finished', 61_000, FIELD.finishedOn, '1')
    await hash('e-locked', 61_000)
    await redis.set(keys.lock('e-locked'), 'token')
    await hash('e-delayed', 61_000)
    await redis.zadd(keys.delayed, Date.now() * 4_096, 'e-delayed')
    await redis.del(keys.marker)

    expect(await rescue()).toEqual({ back: 0, forgotten: 0, early: 0 })
    expect(await rescue()).toEqual({ back: 1, forgotten: 0, early: 0 })

    expect(await waiting()).toEqual(['e-lost', 'e-active'])
    expect(await redis.exists(keys.marker)).toBe(1)
    expect(await rescue()).toEqual({ back: 0, forgotten: 0, early: 0 })
  })

  it('wait again if their hash is there again, and are forgotten after ten minutes otherwise', async () => {
    const { keys, add, rescue, waiting, claimer } = open()
    await add('e-1', 'e-2', 'e-3', 'e-4')
    const hashes = await Promise.all(['e-1', 'e-2', 'e-3'].map((id) => redis.dumpBuffer(keys.job(id))))
    await redis.del(keys.job('e-1'), keys.job('e-2'), keys.job('e-3'))

    expect((await claimer.claim('token', 10)).map(({ id }) => id)).toEqual(['e-4'])
    expect(await redis.zrange(keys.missing, 0, '-1')).toEqual(['e-1', 'e-2', 'e-3'])
    await redis.restore(keys.job('e-2'), 0, hashes[1] as Buffer)
    await redis.zadd(keys.missing, Date.now() - 601_000, 'e-3')

    expect(await rescue()).toEqual({ back: 1, forgotten: 1, early: 0 })
    expect(await waiting()).toEqual(['e-2'])
    expect(await redis.zrange(keys.missing, 0, '-1')).toEqual(['e-1'])
  })

  it('wait again if the clock of a worker is days ahead or behind, and those of other workers stay delayed', async () => {
    const { keys, rescue, waiting } = open()
    const score = (inMs: number) => (Date.now() + inMs) * 4_096
    const days = 3 * 86_400_000
    await redis.zadd(keys.delayed, score(days), 'e-ahead', score(240_000), 'e-soon')
    await redis.zadd(keys.delayed, score(-days), 'e-behind', score(-30_000), 'e-due')

    expect(await rescue()).toEqual({ back: 0, forgotten: 0, early: 1 })

    expect(await waiting()).toEqual(['e-ahead', 'e-behind'])
    expect(await redis.zrange(keys.delayed, 0, '-1')).toEqual(['e-due', 'e-soon'])
    expect(await redis.exists(keys.marker)).toBe(1)
  })

  it('do not exist if a claim fails halfway: the jobs still wait', async () => {
    const { keys, add, waiting, claimer } = open()
    await add('e-1', 'e-2')
    await redis.set(keys.active, 'no list')

    expect(await claimer.claim('token', 10)).toEqual([])

    expect(await waiting()).toEqual(['e-2', 'e-1'])
    await redis.del(keys.active)
    expect((await claimer.claim('other token', 10)).map(({ id }) => id)).toEqual(['e-1', 'e-2'])
  })

  it('do not exist if completing fails halfway: a job is claimed again, or completed', async () => {
    const { keys, add, claimer, finish } = open()
    await add('e-1', 'e-2')
    await claimer.claim('token', 10)
    await redis.set(keys.stalled, 'no set')
    const ended = ['e-1', 'e-2'].map((id) => ({ id, attempts: 1 }))
    await expect(finish('token', ended)).rejects.toThrow('WRONGTYPE')
    await redis.del(keys.stalled)

    // BullMQ's check for stalled jobs lets an active job without a lock wait again.
    await redis.lpush(keys.wait, 'e-1')

    expect(await claimer.claim('token', 10)).toEqual([])
    expect(await redis.exists(keys.wait)).toBe(0)
    expect((await redis.zrange(keys.completed, 0, '-1')).toSorted()).toEqual(['e-1', 'e-2'])
  })

  it('do not exist if adding fails halfway', async () => {
    const { keys, add } = open()
    await redis.set(keys.job('e-2'), 'no hash')

    await expect(add('e-1', 'e-2', 'e-3')).rejects.toThrow('WRONGTYPE')

    expect(await redis.exists(keys.job('e-1'), keys.job('e-3'), keys.wait)).toBe(0)
  })
})

describe('completed jobs', () => {
  it('are no more than the limit says; the oldest go first', async () => {
    using stack = new DisposableStack()
    const redis = stack.adopt(new Redis(queueServerUrl()), (opened) => opened.disconnect())
    const prefix = `{${randomUUID()}}`
    const keys = queueKeys(prefix)
    const claimer = createJobClaimer(redis, prefix)
    const finish = createFinish(redis, prefix, { mostCompleted: () => 3 })
    for (let n = 0; n < 6; n++) {
      await createAdd(redis, prefix)([{ jobId: `e-${n}`, name: 'a', data: '{}' }])
      await claimer.claim('token', 1)
      await finish('token', [{ id: `e-${n}`, attempts: 1 }])
    }
    expect(await redis.zcard(keys.completed)).toBe(3)
    expect(await redis.exists(keys.job('e-0'), keys.job('e-2'))).toBe(0)
    expect(await redis.exists(keys.job('e-5'))).toBe(1)
  })
})
