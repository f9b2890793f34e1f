import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRedis, startRedis } from '@sluice/embedded'
import { createRedisCheck, pingRedis } from '@sluice/shared/queue'
import { createLog, createMetrics, startStoreChecks } from '@sluice/shared/runtime'
import { runIngest, runWorker } from '@sluice/testkit/process'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const log = createLog('test', 'fatal')

describe('a Redis of its own, whose settings somebody changes', () => {
  let stack: AsyncDisposableStack
  let url: string
  let redis: Redis
  let look: ReturnType<typeof createRedisCheck>
  let world: World

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const stateDir = await mkdtemp(join(tmpdir(), 'sluice-guard-'))
    stack.defer(() => rm(stateDir, { recursive: true }))
    const found = await findRedis()
    if ('reason' in found) throw new Error(found.reason)
    const server = await startRedis({
      stateDir,
      password: 'x',
      binary: found.path,
      ping: pingRedis,
      report: () => {},
    })
    stack.defer(() => server.stop(5_000))
    url = server.url
    redis = new Redis(url)
    stack.defer(() => redis.disconnect())
    look = createRedisCheck({ url, prefix: 'storeChecks', shards: 1 })
    world = stack.use(await createWorld('inbox'))
  })
  afterEach(() => stack.disposeAsync())

  const bad = async () => (await look()).filter(({ level }) => level !== 'ok')

  it.each([
    ['appendfsync', 'everysec', /appendfsync everysec/],
    ['appendonly', 'no', /no append-only file/],
    ['maxmemory-policy', 'allkeys-lru', /allkeys-lru/],
    ['no-appendfsync-on-rewrite', 'yes', /no-appendfsync-on-rewrite/],
  ])('is unsafe with %s %s', async (name, value, text) => {
    expect(await bad()).toEqual([])
    await redis.config('SET', name, value)
    expect(await bad()).toMatchObject([
      { unsafe: 'Redis', text: expect.stringMatching(text), advice: expect.any(String) },
    ])
  })

  it('was emptied: the canary is gone once, and says so', async () => {
    expect(await bad()).toEqual([])
    await redis.flushall()
    expect(await bad()).toMatchObject([{ level: 'fail', text: 'was emptied while Sluice was using it' }])
    expect(await bad()).toEqual([])
  })

  it('is refused at the start under SLUICE_DURABILITY=strict, by ingest and worker, in words', async () => {
    await redis.config('SET', 'appendfsync', 'everysec')
    const env = { ...world.env, REDIS_URL: url, SLUICE_DURABILITY: 'strict' }
    for (const run of [runIngest, runWorker]) {
      const refused = stack.use(run(env))
      expect(await refused.exited).toBe(1)
      expect(refused.output()).toMatch(
        /SLUICE_DURABILITY=strict refuses.*\n.*appendfsync everysec.*appendfsync always/,
      )
    }
    const warned = stack.use(runIngest({ ...env, SLUICE_DURABILITY: 'warn' }))
    await warned.printed(/"ingest listens"/)
    await warned.printed(/appendfsync everysec/)
  })

  it('is refused under a running process too, until it is put right', async () => {
    const storeChecks = stack.use(
      await startStoreChecks({
        looks: { Redis: look },
        strict: true,
        log,
        metrics: createMetrics(),
        everyMs: 50,
      }),
    )
    expect(storeChecks.blocksUse('Redis')).toBe(false)
    expect(storeChecks.blocksUse('Postgres')).toBe(false)
    await redis.config('SET', 'maxmemory-policy', 'volatile-ttl')
    await eventually(() => storeChecks.blocksUse('Redis'))
    expect(storeChecks.blocksUse('Postgres')).toBe(false)
    expect(storeChecks.problems().join()).toContain('volatile-ttl')
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
    await eventually(() => !storeChecks.blocksUse('Redis'))
  })
})
