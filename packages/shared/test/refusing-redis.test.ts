import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import { eventually } from '@sluice/testkit/world'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdd } from '../src/queue/bullmq/add.ts'
import { createBodies } from '../src/queue/bullmq/bodies.ts'
import { createJobClaimer } from '../src/queue/bullmq/claim.ts'
import { createFinish } from '../src/queue/bullmq/finish.ts'
import { queueKeys } from '../src/queue/bullmq/keys.ts'
import { createQueueConsumer, type HandleResult, type QueueJob } from '../src/queue/index.ts'
import { createLog } from '../src/runtime/index.ts'

describe('a worker whose Redis refuses', () => {
  const stack = new AsyncDisposableStack()
  const log = createLog('test', 'silent')
  let server: RedisServer
  let redis: Redis
  beforeAll(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-refusing-'))
    stack.defer(() => rm(dir, { recursive: true }))
    const settings = { appendonly: 'no', 'hash-max-listpack-value': '1024' }
    server = stack.use(await createRedisServer({ dir, settings }))
    redis = stack.adopt(new Redis(server.url), (opened) => opened.disconnect())
  })
  afterAll(() => stack.disposeAsync())

  function consume(url: string, prefix: string, handled: Set<string>) {
    const handle = async (jobs: readonly QueueJob[]) => {
      for (const { jobId } of jobs) handled.add(jobId)
      return jobs.map((): HandleResult => ({ kind: 'completed' }))
    }
    return createQueueConsumer({ url, prefix, shards: 1 }, handle, { concurrency: 200, log })
  }
  const jobs = (count: number, from = 0) =>
    Array.from({ length: count }, (_, n) => ({
      jobId: `e-${from + n}`,
      name: 'a',
      data: JSON.stringify({ text: 'x'.repeat(300) }),
    }))

  it('empties a full one', async () => {
    const add = createAdd(redis, '{full-0}')
    await server.configure('maxmemory', 4_000_000)
    let added = 0
    const refused = await (async () => {
      for (;;) {
        await add(jobs(100, added))
        added += 100
      }
    })().catch((error: Error) => error.message)
    expect(refused).toMatch(/^OOM/)
    // Not even the script's own needs fit.
    await redis.config('SET', 'maxmemory', '2000000')
    const handled = new Set<string>()

    await using _consumer = consume(server.url, 'full', handled)
    await eventually(() => handled.size === added)

    const keys = queueKeys('{full-0}')
    await eventually(async () => (await redis.llen(keys.active)) === 0)
    expect(await redis.exists(keys.wait, keys.missing)).toBe(0)
    expect(await redis.zcard(keys.failed)).toBe(0)
    await server.configure('maxmemory', 0)
  })

  it('keeps no bodies of completed jobs once it is nearly full, however few they are', async () => {
    const prefix = '{heavy-0}'
    const ids = Array.from({ length: 30 }, (_, n) => `e-${n}`)
    const keys = queueKeys(prefix)
    const data = JSON.stringify('x'.repeat(100_000))
    await createAdd(redis, prefix)(ids.map((jobId) => ({ jobId, name: 'a', data })))
    await createJobClaimer(redis, prefix).claim('token', ids.length)
    await createFinish(redis, prefix)(
      'token',
      ids.map((id) => ({ id, attempts: 1 })),
    )
    for (const id of ids) await redis.zadd(keys.completed, Date.now() - 2_000, id)
    const sizes = () => Promise.all(ids.map((id) => redis.hstrlen(keys.job(id), 'data')))
    const bodies = createBodies(redis, prefix)

    await server.configure('maxmemory', 100_000_000)
    await bodies.strip(600_000)
    expect(new Set(await sizes())).toEqual(new Set([data.length]))
    await server.configure('maxmemory', 5_000_000)
    await bodies.strip(600_000)

    expect(new Set(await sizes())).toEqual(new Set(['{}'.length]))
    await server.configure('maxmemory', 0)
  })

  it('works for a user without dangerous commands', async () => {
    await redis.call('ACL', 'SETUSER', 'app', 'on', '>secret', 'resetchannels', '~*', '+@all', '-@dangerous')
    const handled = new Set<string>()
    await using _consumer = consume(`redis://app:secret@127.0.0.1:${server.port}`, 'acl', handled)

    await createAdd(redis, '{acl-0}')(jobs(3))

    await eventually(() => handled.size === 3)
  })

  const acl = (...rules: string[]) => redis.call('ACL', 'SETUSER', 'less', ...rules)
  const scripts = ['evalsha', 'eval', 'bzpopmin']
  it.each([
    {
      name: 'NOPERM',
      refuse: () => acl(...scripts.map((command) => `-${command}`)),
      allow: () => acl(...scripts.map((command) => `+${command}`)),
    },
    {
      name: 'NOREPLICAS',
      refuse: () => server.configure('min-replicas-to-write', 1),
      allow: () => server.configure('min-replicas-to-write', 0),
    },
  ])(
    'asks less and less often, can be closed meanwhile, and goes on when it may: $name',
    async ({ name, refuse, allow }) => {
      await acl('on', '>secret', 'resetchannels', '~*', '+@all', '-@dangerous')
      await createAdd(redis, `{${name}-0}`)(jobs(3))
      await refuse()
      const url = `redis://less:secret@127.0.0.1:${server.port}`
      const handled = new Set<string>()
      async function refused(): Promise<number> {
        const stats = await redis.info('commandstats')
        const counts = stats.matchAll(/(?:rejected|failed)_calls=(\d+)/g)
        return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
      }
      const before = await refused()
      {
        await using _closed = consume(url, name, handled)
        await eventually(async () => (await refused()) > before)
      }
      await using _consumer = consume(url, name, handled)
      // Without pauses it would refuse thousands of times.
      await pause(2_000)
      expect((await refused()) - before).toBeLessThan(100)
      expect(handled.size).toBe(0)

      await allow()
      await eventually(() => handled.size === 3)
    },
  )
})
