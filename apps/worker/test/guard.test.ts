import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkRedis, createQueueSteward, pingRedis, type QueueSteward } from '@sluice/shared/queue'
import { createLog, createMetrics, startGuard } from '@sluice/shared/runtime'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runIngest, runWorker } from '../../../test/support/process.ts'
import { createWorld, eventually, type World } from '../../../test/support/world.ts'
import { findRedis, startRedis } from '../../cli/src/start/redis.ts'
import { startWatchdog } from '../src/watchdog.ts'

const log = createLog('test', 'fatal')

describe('a Redis of its own, whose settings somebody changes', () => {
  let stack: AsyncDisposableStack
  let url: string
  let redis: Redis
  let steward: QueueSteward
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
    steward = stack.use(createQueueSteward({ url, prefix: 'guard', shards: 1 }, log))
    world = stack.use(await createWorld('inbox'))
  })
  afterEach(() => stack.disposeAsync())

  const bad = async () => (await checkRedis(steward)).filter(({ level }) => level !== 'ok')

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
    const guard = stack.use(
      await startGuard({
        check: () => checkRedis(steward),
        strict: true,
        log,
        metrics: createMetrics(),
        everyMs: 50,
      }),
    )
    expect(guard.isRefused('Redis')).toBe(false)
    expect(guard.isRefused('Postgres')).toBe(false)
    await redis.config('SET', 'maxmemory-policy', 'volatile-ttl')
    await eventually(() => guard.isRefused('Redis'))
    expect(guard.isRefused('Postgres')).toBe(false)
    expect(guard.problems().join()).toContain('volatile-ttl')
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
    await eventually(() => !guard.isRefused('Redis'))
  })

  it('holds jobs that a worker does not take: the worker is told to end, but not while it works or may not fetch', async () => {
    await redis.lpush('{guard-0}:events:wait', 'old')
    await redis.hset('{guard-0}:events:old', 'timestamp', Date.now() - 61_000)
    const stuck: string[] = []
    const watch = (lastActiveAt: number, isFetching: boolean) =>
      stack.use(
        startWatchdog({
          steward,
          lastActiveAt: () => lastActiveAt,
          isFetching: () => isFetching,
          onStuck: ({ message }) => stuck.push(message),
          everyMs: 20,
        }),
      )
    await eventually(async () => (await steward.oldestWaitingMs().catch(() => 0)) > 60_000)
    const busy = watch(Date.now(), true)
    const held = watch(0, false)
    watch(0, true)
    await eventually(() => stuck.length === 1)
    await busy[Symbol.asyncDispose]()
    await held[Symbol.asyncDispose]()
    expect(stuck).toEqual([expect.stringMatching(/^Jobs have waited for 6\d s and this worker takes none/)])
  })
})
