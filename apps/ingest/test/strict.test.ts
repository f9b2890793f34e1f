import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startIngest } from '@sluice/ingest'
import { queueKeys, shardPrefix } from '@sluice/shared/queue'
import { createLog, createMetrics, type Metrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import { createWorld, eventually, post, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const log = createLog('test', 'silent')

describe('an ingest that checks the settings of its stores', () => {
  let stack: AsyncDisposableStack
  let world: World
  let redis: RedisServer
  let url: string
  let metrics: Metrics
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const dir = await mkdtemp(join(tmpdir(), 'sluice-strict-'))
    stack.defer(() => rm(dir, { recursive: true }))
    redis = stack.use(await createRedisServer({ dir }))
    world = stack.use(await createWorld('redis'))
  })
  afterEach(() => stack.disposeAsync())

  async function open({
    strict,
    redisUrl = redis.url,
    databaseUrl = world.databaseUrl,
  }: {
    strict: boolean
    redisUrl?: string
    databaseUrl?: string
  }) {
    const config = {
      ...world.ingestConfig,
      databaseUrl,
      strict,
      queue: { url: redisUrl, prefix: world.queuePrefix, shards: 1 },
    }
    metrics = createMetrics()
    const ingest = await startIngest(config, { log, metrics, checkEveryMs: 50 })
    stack.use(ingest)
    url = `http://127.0.0.1:${ingest.port}`
  }

  /** The answer to one more event, and the store that has it. */
  async function send(): Promise<string> {
    const before = await held()
    const { status } = await post(url, finishedJourney().bytes)
    const after = await held()
    const via = after.redis > before.redis ? 'redis' : after.inbox > before.inbox ? 'inbox' : 'nowhere'
    return `${status} ${via}`
  }
  const held = async () => ({
    redis: Number(await redis.command('LLEN', queueKeys(shardPrefix(world.queuePrefix, 0)).wait)),
    inbox: (await world.rows('select from inbox')).length,
  })
  const becomes = (answer: string) => eventually(async () => (await send()) === answer)
  const readiness = async () => (await fetch(`${url}/readyz`)).status

  const commit = (value: string) =>
    world.rows(
      `alter database "${new URL(world.databaseUrl).pathname.slice(1)}" set synchronous_commit = ${value}`,
    )

  it('uses no unsafe store if it is strict, and never leaves out a safe one for an unsafe one', async () => {
    await open({ strict: true })
    expect(await send()).toBe('200 redis')

    await redis.configure('appendfsync', 'everysec')
    await becomes('200 inbox')
    await redis.configure('appendfsync', 'always')
    await becomes('200 redis')

    await commit('off')
    await eventually(async () => /^sluice_unsafe_settings 1$/m.test(await metrics.text()))
    const { inbox } = await held()
    for (let n = 0; n < 5; n++) expect(await send()).toBe('200 redis')
    expect((await held()).inbox).toBe(inbox)
    expect(await readiness()).toBe(200)

    await redis.configure('appendfsync', 'everysec')
    await becomes('503 nowhere')
    expect(await readiness()).toBe(503)
    expect((await held()).inbox).toBe(inbox)

    await commit('on')
    await becomes('200 inbox')
    expect(await readiness()).toBe(200)
  })

  it('gives no event, not even the first one, to a Redis whose user may not claim it again', async () => {
    const grant = (...rights: string[]) =>
      redis.command('ACL', 'SETUSER', 'app', 'on', '>app', 'allkeys', 'allchannels', '+@all', ...rights)
    await grant('-rpop')
    await open({ strict: false, redisUrl: `redis://app:app@127.0.0.1:${redis.port}` })
    expect(await send()).toBe('200 inbox')
    expect(await readiness()).toBe(200)

    await grant()
    await becomes('200 redis')
    await grant('-rpop')
    await becomes('200 inbox')
  })

  it('is not ready while Postgres is away and Redis hangs, and is again once Redis answers', async () => {
    await open({ strict: false, databaseUrl: 'postgres://x:x@127.0.0.1:1/x' })
    expect([await send(), await readiness()]).toEqual(['200 redis', 200])
    redis.signal('SIGSTOP')
    await eventually(async () => {
      const answers = Array.from({ length: 6 }, () => post(url, finishedJourney().bytes))
      await Promise.all(answers)
      return (await readiness()) === 503
    })
    redis.signal('SIGCONT')
    await becomes('200 redis')
    expect(await readiness()).toBe(200)
  })
})
