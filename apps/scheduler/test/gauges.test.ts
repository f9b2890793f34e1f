import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { announceProcess, describeProcess, seeCondition } from '@sluice/shared/db'
import { createQueueAdmin } from '@sluice/shared/queue'
import { createLog, createMetrics, DEFAULT_SOURCES, newestMigration, release } from '@sluice/shared/runtime'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createRedisServer } from '@sluice/testkit/redis-server'
import { createWorld, eventually, openDoor, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { gauges } from '../src/duties/gauges.ts'

describe('the gauges of the stores', () => {
  let stack: AsyncDisposableStack
  let world: World
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('redis'))
  })
  afterEach(() => stack.disposeAsync())

  it('say of each shard, of replicas, and of the memory that is left', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-gauges-'))
    stack.defer(() => rm(dir, { recursive: true }))
    const redis = stack.use(
      await createRedisServer({
        dir: join(dir, 'a'),
        settings: { maxmemory: '64mb', 'maxmemory-policy': 'noeviction' },
      }),
    )
    const replica = stack.use(await createRedisServer({ dir: join(dir, 'b') }))
    await replica.command('REPLICAOF', '127.0.0.1', redis.port)
    await eventually(async () =>
      /connected_slaves:1/.test(String(await redis.command('INFO', 'replication'))),
    )
    const [log, metrics] = [createLog('test', 'silent'), createMetrics()]
    const admin = stack.use(createQueueAdmin({ url: redis.url, prefix: 'sluice', shards: 2 }, log))
    const duty = gauges({ db: world.db, log, metrics, admin, sources: DEFAULT_SOURCES })
    await duty.run(new AbortController().signal)
    const text = await metrics.text()
    expect(text).toContain('sluice_queue_jobs{shard="1",state="waiting"} 0')
    expect(text).toContain('sluice_replicas{store="redis",kind="replica"} 1')
    const ratio = Number(/^sluice_redis_memory_ratio (\S+)$/m.exec(text)?.[1])
    const used = Number(/used_memory:(\d+)/.exec(String(await redis.command('INFO', 'memory')))?.[1])
    expect(ratio).toBeCloseTo(used / (64 * 2 ** 20), 2)
    expect(text).not.toMatch(/^sluice_redis_full_in_seconds /m)

    await redis.command('SET', 'weight', 'x'.repeat(4_000_000))
    await duty.run(new AbortController().signal)
    const fullIn = /^sluice_redis_full_in_seconds (\S+)$/m.exec(await metrics.text())?.[1]
    expect(Number(fullIn)).toBeGreaterThan(0)
    expect(Number(fullIn)).toBeLessThan(600)
  })

  it('say what waits, what is open and who runs, and nothing old once a store cannot be read', async () => {
    const [log, metrics] = [createLog('test', 'silent'), createMetrics()]
    const { queue } = world.workerConfig
    if (!queue) throw new Error('this world has Redis')
    const admin = stack.use(createQueueAdmin(queue, log))
    const door = stack.use(await openDoor(world))
    for (let i = 0; i < 3; i++) await door.post(finishedJourney().bytes)
    await bury(world, [finishedJourney().bytes, finishedJourney().bytes])
    stack.use(announceProcess(world.db, describeProcess('worker', queue), log))
    await eventually(async () => (await world.rows('select from processes')).length === 2)
    const lastEvent = Date.now() - 60_000
    await world.rows(
      `insert into minutes (minute, process, role, counters) values (now(), 'p', 'ingest', $1)`,
      [
        JSON.stringify({
          counts: {},
          last: { live: lastEvent, 'uae-live': lastEvent, 'not-configured': lastEvent },
        }),
      ],
    )
    // IDWise still tries the first one, and not the second one; the third one has come again.
    await world.rows(
      `insert into refusals (event_key, environment, first_refused_at, last_refused_at, deliveries, made_up_at)
        values ('\\x01', 'live', now() - interval '5 min', now(), 1, null),
          ('\\x02', 'live', now() - interval '40 min', now(), 4, null),
          ('\\x03', 'sandbox', now() - interval '9 min', now(), 1, now()),
          ('\\x04', 'uae-live', now() - interval '14 min', now(), 1, null),
          ('\\x05', 'not-configured', now() - interval '14 min', now(), 1, null)`,
    )
    const read = async () => {
      const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('sluice_'))
      return Object.fromEntries(
        lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
      )
    }
    const uae = { name: 'uae-live', kind: 'live', api: 'https://api-uae.idwise.com' } as const
    for (const subject of ['a', 'b', 'of-nobody']) {
      const name = subject === 'of-nobody' ? 'of-a-later-release' : 'drift'
      await seeCondition(world.db.pool, { name, subject, severity: 'notice', text: 'x', peak: 1 })
    }
    const sources = [...DEFAULT_SOURCES, uae]
    const duty = gauges({ db: world.db, log, metrics, admin, sources, tells: true })
    const { signal } = new AbortController()
    await duty.run(signal)

    const found = await read()
    expect(found).toMatchObject({
      'sluice_queue_jobs{shard="0",state="waiting"}': 3,
      'sluice_queue_jobs{shard="0",state="failed"}': 0,
      'sluice_replicas{store="postgres",kind="synchronous"}': 0,
      'sluice_replicas{store="redis",kind="replica"}': 0,
      'sluice_oldest_waiting_seconds{via="inbox"}': 0,
      'sluice_alerts{name="late"}': 0,
      'sluice_alerts{name="drift"}': 2,
      sluice_inbox_rows: 0,
      'sluice_dead_letters{reason="rejected_by_database",state="open"}': 2,
      sluice_journeys_needing_attention: 0,
      sluice_erasures_pending: 0,
      'sluice_refusing_since_seconds{environment="sandbox"}': 0,
      sluice_drifts: 0,
      'sluice_sender_patience_seconds{environment="sandbox"}': 900,
      'sluice_last_event_timestamp_seconds{environment="live"}': lastEvent / 1_000,
      'sluice_last_event_timestamp_seconds{environment="uae-live"}': lastEvent / 1_000,
      'sluice_source_info{environment="uae-live",kind="live"}': 1,
      [`sluice_workers{release="${release()}"}`]: 1,
      [`sluice_ingests{release="${release()}"}`]: 1,
      [`sluice_build_info{release="${release()}",schema="${newestMigration()}"}`]: 1,
      'sluice_store_up{store="postgres"}': 1,
      'sluice_store_up{store="redis"}': 1,
    })
    expect(found['sluice_oldest_waiting_seconds{via="redis",shard="0"}']).toBeGreaterThan(0)
    const patience = found['sluice_sender_patience_seconds{environment="live"}']
    const uaePatience = found['sluice_sender_patience_seconds{environment="uae-live"}']
    expect(uaePatience).toBeLessThanOrEqual(60)
    expect(Object.keys(found).join()).not.toContain('not-configured')
    expect(patience).toBeLessThanOrEqual(600)
    expect(patience).toBeGreaterThan(500)

    await world.rows('alter table refusals rename to away')
    await duty.run(signal)
    const without = await read()
    expect(without).toMatchObject({
      'sluice_store_up{store="postgres"}': 0,
      'sluice_store_up{store="redis"}': 1,
      'sluice_queue_jobs{shard="0",state="waiting"}': 3,
    })
    expect(Object.keys(without).join()).not.toMatch(
      /inbox_rows|dead_letters|patience|workers|via="inbox"|sluice_alerts\{|later-release/,
    )
    // What an ingest in the same process shows meanwhile stays.
    metrics.senderPatience.set({ environment: 'live' }, 600)
    await duty.run(signal)
    expect(await read()).toMatchObject({ 'sluice_sender_patience_seconds{environment="live"}': 600 })
  })
})
