import { createDb, listPartitions } from '@sluice/shared/db'
import { queueKeys, shardPrefix } from '@sluice/shared/queue'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { runScheduler } from '@sluice/testkit/process'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScheduler } from '../src/index.ts'

describe('the scheduler', () => {
  let stack: AsyncDisposableStack
  let world: World
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('redis'))
  })
  afterEach(() => stack.disposeAsync())

  const duplicates = async () =>
    (await world.rows<{ duplicates: number }>('select duplicates from events')).map((row) => row.duplicates)

  it('does its duties alone, for workers that do none', async () => {
    const redis = stack.adopt(new Redis(world.redisUrl), (opened) => opened.disconnect())
    const uncounted = () => redis.hlen(queueKeys(shardPrefix(world.queuePrefix, 0)).redeliveries)
    const door = stack.use(await openDoor(world))
    const { bytes } = finishedJourney()
    for (let i = 0; i < 3; i++) await door.post(bytes)
    await eventually(async () => (await uncounted()) === 1)
    const worker = await openWorker(world, { scheduler: false })
    await eventually(async () => (await duplicates()).length === 1)
    await worker[Symbol.asyncDispose]()
    expect(await duplicates()).toEqual([0])

    const scheduler = stack.use(runScheduler({ ...world.env, SCHEDULER_PORT: '0' }))
    await scheduler.printed(/"scheduler does its duties"/)
    await eventually(async () => (await duplicates())[0] === 2)
    expect(await uncounted()).toBe(0)
    scheduler.kill('SIGTERM')
    expect(await scheduler.exited).toBe(0)
  })

  it('names the duties that fail, and does them when it can again', async () => {
    await world.rows('alter table leases rename to away')
    const log = createLog('test', 'silent')
    const db = stack.use(createDb(world.databaseUrl, { max: 2, statementMs: 5_000, log, name: 'test' }))
    const scheduler = stack.use(startScheduler({ ...world.workerConfig, db, metrics: createMetrics(), log }))
    const failing = () => Object.keys(scheduler.health().failing as object)
    await eventually(() => failing().includes('redeliveries'))
    expect(scheduler.health().ready).toBe(false)
    expect(failing()).not.toContain('crashes')

    await world.rows('alter table away rename to leases')
    await eventually(() => !failing().includes('redeliveries'))
  })

  it('makes partitions that are missing, and measures for how long they last and how late retention is', async () => {
    const partitions = async () => (await listPartitions(world.db.pool)).length
    for (const { name } of await listPartitions(world.db.pool)) await world.rows(`drop table ${name}`)
    await world.rows(
      `create table events_20200101 partition of events for values from ('2020-01-01') to ('2020-01-02')`,
    )
    const terms = { events: 30, keys: null, deadLetters: null, archive: true }
    await world.rows('update retention set accepted = $1', [JSON.stringify(terms)])
    const [log, metrics] = [createLog('test', 'silent'), createMetrics()]
    const retention = { period: 'day', terms: null, archiveDir: undefined } as const
    stack.use(startScheduler({ ...world.workerConfig, retention, db: world.db, metrics, log }))
    const measured = async (name: string) =>
      Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await metrics.text())?.[1])

    await eventually(async () => (await measured('sluice_partitions_ahead')) === 7)
    expect(await partitions()).toBe(1 + 8)
    expect(await measured('sluice_retention_behind_seconds')).toBeGreaterThan(6 * 365 * 86_400)
  })
})
