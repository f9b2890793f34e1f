import { randomUUID } from 'node:crypto'
import { insertInbox, takeInbox } from '@sluice/shared/db'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, eventually, openDoor, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDrain } from '../src/drain.ts'
import { createInboxScan } from '../src/inbox-scan.ts'
import { createLandingDeps } from '../src/land.ts'
import { createPostgresCircuit } from '../src/postgres-circuit.ts'

let stack: AsyncDisposableStack
let world: World

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  world = stack.use(await createWorld('inbox'))
})
afterEach(() => stack.disposeAsync())

function openDrain(metrics = createMetrics()) {
  const log = createLog('test', 'error')
  const circuit = createPostgresCircuit({ probe: async () => {}, onOpen() {}, onClose() {}, log })
  return createDrain(createLandingDeps({ db: world.db, circuit, metrics, log }), 'test')
}

function eventOf(fields: Record<string, unknown> = {}) {
  const { bytes } = finishedJourney(fields)
  const deliveryId = randomUUID()
  const envelope = { v: 1, env: 'live', at: Date.now(), arrival: deliveryId, raw: bytes.toString() }
  return { jobId: `e-${deliveryId}`, envelope: JSON.stringify(envelope) }
}

it('each stage of a batch is measured, and a round that finds nothing is none', async () => {
  const metrics = createMetrics()
  const drain = openDrain(metrics)
  await drain(0)
  expect(await metrics.text()).not.toContain('sluice_batch_size_count{')
  await insertInbox(world.db.pool, [eventOf(), eventOf()])
  await drain(1)
  const text = await metrics.text()
  for (const stage of ['take', 'land', 'finish']) {
    expect(text).toContain(`sluice_batch_size_sum{stage="${stage}"} 2`)
    expect(text).toContain(`sluice_batch_seconds_count{stage="${stage}"} 1`)
  }
})

describe('a row that a frozen worker holds', () => {
  it('refuses no request: its redelivery and new events are accepted, and the redelivery counts when it lands', async () => {
    const door = stack.use(await openDoor(world))
    const { bytes, eventId } = finishedJourney()
    const waiting = finishedJourney()
    const body = bytes as Buffer<ArrayBuffer>
    expect((await door.post(body)).status).toBe(200)
    const frozen = await world.db.pool.connect()
    try {
      await frozen.query('begin')
      expect(await takeInbox(frozen, 10)).toHaveLength(1)
      // One that waits and is free counts on its row, as ever.
      const others = [waiting, waiting, ...Array.from({ length: 5 }, () => finishedJourney())]
      expect((await door.post(waiting.bytes as Buffer<ArrayBuffer>)).status).toBe(200)
      const answers = await Promise.all(
        [body, body, ...others.map((event) => event.bytes as Buffer<ArrayBuffer>)].map((each) =>
          door.post(each),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual(Array(9).fill(200))
    } finally {
      await frozen.query('rollback')
      frozen.release()
    }
    const drain = openDrain()
    await eventually(async () => {
      await drain(0)
      return (await world.rows('select 1 from inbox')).length === 0
    })
    const counts = await world.rows<{ event_id: string; duplicates: number }>(
      'select event_id, duplicates from events where duplicates > 0',
    )
    expect(new Map(counts.map(({ event_id, duplicates }) => [event_id, duplicates]))).toEqual(
      new Map([
        [eventId, 2],
        [waiting.eventId, 2],
      ]),
    )
    expect(await world.rows('select 1 from events')).toHaveLength(7)
  })

  it('is one dead letter, however its deliveries came', async () => {
    await world.rows(`alter table events add constraint no_poison check (reference_no <> 'poison')`)
    const { bytes } = finishedJourney({ referenceNo: 'poison' })
    const door = stack.use(await openDoor(world))
    await door.post(bytes as Buffer<ArrayBuffer>)
    const frozen = await world.db.pool.connect()
    await frozen.query('begin')
    await takeInbox(frozen, 10)
    expect((await door.post(bytes as Buffer<ArrayBuffer>)).status).toBe(200)
    await frozen.query('rollback')
    frozen.release()
    expect(await world.rows('select 1 from inbox')).toHaveLength(2)
    const drain = openDrain()
    await eventually(async () => {
      await drain(0)
      return (await world.rows('select 1 from inbox')).length === 0
    })
    expect(await world.rows(`select reason, job_id ~ '^e-[0-9a-f]{64}$' as own from dead_letters`)).toEqual([
      { reason: 'rejected_by_database', own: true },
    ])
  })
})

describe('a batch of the inbox', () => {
  it('weighs no more than the limit, but one row is always taken', async () => {
    const heavy = Array.from({ length: 6 }, () => eventOf({ text: 'x'.repeat(100_000) }))
    await insertInbox(world.db.pool, heavy)
    const take = (bytes: number) =>
      world.db.transaction(async (connection) => (await takeInbox(connection, 400, { bytes })).length)
    expect(await take(1)).toBe(1)
    expect(await take(250_000)).toBe(3)
    expect(await take(1e9)).toBe(2)
  })

  it('asks for more while heavy rows are left', async () => {
    await insertInbox(
      world.db.pool,
      Array.from({ length: 20 }, () => eventOf({ text: 'x'.repeat(250_000) })),
    )
    const drain = openDrain()
    const first = await drain(0)
    expect(first).toEqual({ taken: 16, more: true })
    await drain(0)
    expect(await world.rows('select 1 from inbox')).toEqual([])
    expect(await world.rows('select 1 from events')).toHaveLength(20)
  })
})

describe('a scan of the inbox', () => {
  it('starts where the last one ended, and at the very beginning every few seconds and after a failure', () => {
    let now = 0
    const scans = createInboxScan(() => now)
    const everything = Number.NEGATIVE_INFINITY
    const next = () => scans.next().since
    const begun = (since: number) => ({ since, startedAt: now })
    expect(next()).toBe(everything)
    scans.emptied(begun(everything), { to: 50_000, tookMs: 10 })
    expect(next()).toBe(49_000)
    scans.emptied(begun(49_000), { to: 40_000, tookMs: 10 })
    expect(next()).toBe(49_000)
    scans.failed()
    expect(next()).toBe(everything)
    // One round looks at everything, the others go on.
    now = 1
    scans.emptied(begun(49_000), { to: 60_000, tookMs: 10 })
    expect(next()).toBe(59_000)
    now = 5_000
    expect(next()).toBe(everything)
    scans.emptied(begun(everything), { to: 60_000, tookMs: 2_000 })
    now = 44_000
    expect(next()).toBe(59_000)
    now = 45_000
    expect(next()).toBe(everything)
  })

  it('does not start after rows that another scan has locked and left', () => {
    let now = 0
    const scans = createInboxScan(() => now)
    scans.next()
    const concurrent = scans.next()
    now = 10
    scans.left(50_000)
    scans.emptied(concurrent, { to: 60_000, tookMs: 1 })
    expect(scans.next().since).toBe(Number.NEGATIVE_INFINITY)
    now = 20
    scans.emptied(scans.next(), { to: 70_000, tookMs: 1 })
    expect(scans.next().since).toBe(69_000)
  })

  it('passes over rows that were taken only when it scans the whole inbox', async () => {
    const old = await world.db.pool.connect()
    stack.defer(() => old.release(true))
    await old.query('begin isolation level repeatable read; select 1')
    await world.rows(`insert into inbox (job_id, envelope, available_at)
      select n::text, '', now() - interval '1 hour' from generate_series(1, 3000) n`)
    await world.rows('delete from inbox')
    const passed = (since: number) =>
      world.db.transaction(async (connection) => {
        const entries = async () => {
          const { rows } = await connection.query(`select sum(pg_stat_get_xact_tuples_returned(i))::int as n
            from unnest('{inbox_by_available_at,inbox_suspects}'::regclass[]) as i`)
          return rows[0].n
        }
        const before = await entries()
        expect(await takeInbox(connection, 400, { since })).toEqual([])
        return (await entries()) - before
      })
    expect(await passed(Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(3_000)
    expect(await passed(Date.now() - 60_000)).toBe(0)
  })

  it('finds within seconds rows that a dead worker left, which were due long ago', async () => {
    const drain = openDrain()
    await insertInbox(world.db.pool, [eventOf()])
    await drain(0)
    await insertInbox(world.db.pool, [eventOf()])
    await world.rows(`update inbox set available_at = now() - interval '1 hour'`)
    await eventually(async () => (await drain(0)).taken === 1)
  })
})
