import { randomUUID } from 'node:crypto'
import { createQueueAdmin, FIELD, queueKeys, shardPrefix } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { eventually } from '@sluice/testkit/world'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { startWatchdog } from '../src/watchdog.ts'

describe('a worker that takes nothing although a job waits', () => {
  let stack: AsyncDisposableStack
  let redis: Redis
  let prefix: string
  beforeEach(() => {
    stack = new AsyncDisposableStack()
    redis = stack.adopt(new Redis(inject('redisUrl')), (opened) => opened.disconnect())
    prefix = randomUUID()
  })
  afterEach(() => stack.disposeAsync())

  const keys = (shard: number) => queueKeys(shardPrefix(prefix, shard))

  /** What was told, and how often the queue was looked at. */
  async function watch(
    options: { shards?: readonly number[]; isFetching?: () => boolean; lastActiveAt?: () => number } = {},
  ) {
    const admin = stack.use(
      createQueueAdmin({ url: inject('redisUrl'), prefix, shards: 2 }, createLog('test', 'silent')),
    )
    await admin.ready(3_000)
    const seen = { told: [] as string[], looks: 0 }
    stack.use(
      startWatchdog({
        oldestWaiting() {
          seen.looks++
          return admin.oldestWaiting(options.shards)
        },
        lastActiveAt: options.lastActiveAt ?? (() => Number.NEGATIVE_INFINITY),
        isFetching: options.isFetching ?? (() => true),
        onStuck: ({ message }) => seen.told.push(message),
        stuckAfterMs: 150,
        everyMs: 20,
      }),
    )
    return seen
  }

  it('is told to end, whatever the clocks of other machines say', async () => {
    await redis.lpush(keys(1).wait, 'e-1')
    await redis.hset(keys(1).job('e-1'), FIELD.timestamp, Date.now() + 86_400_000)
    const { told } = await watch()
    await eventually(() => told.length === 1)
    expect(told).toEqual([expect.stringMatching(/^Jobs have waited for \d+ s and this worker takes none/)])
  })

  it('goes on where the job lies in a shard that others take', async () => {
    await redis.lpush(keys(1).wait, 'e-1')
    const others = await watch({ shards: [0] })
    const own = await watch({ shards: [1] })
    await eventually(() => own.told.length === 1)
    await eventually(() => others.looks > 10)
    expect(others.told).toEqual([])
  })

  it('goes on where it lands other jobs, may not fetch, or the oldest is another one each time', async () => {
    await redis.lpush(keys(0).wait, 'e-1')
    const busy = await watch({ lastActiveAt: () => performance.now() })
    const held = await watch({ isFetching: () => false })
    const stuck = await watch()
    await eventually(() => stuck.told.length === 1)
    expect([busy.told, held.told]).toEqual([[], []])

    let n = 0
    const moving = await watch({
      isFetching() {
        redis.multi().rpop(keys(0).wait).rpush(keys(0).wait, `e-${n++}`).exec()
        return true
      },
    })
    await eventually(() => moving.looks > 20)
    expect(moving.told).toEqual([])
  })
})
