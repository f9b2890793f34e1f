import { randomUUID } from 'node:crypto'
import { insertInbox, landJobs } from '@sluice/shared/db'
import { type Envelope, writeEnvelope } from '@sluice/shared/envelope'
import type { HandleResult, QueueJob } from '@sluice/shared/queue'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createConsume } from '../src/consume.ts'
import { createDrain, type Drain } from '../src/drain.ts'
import { createLandingDeps, type LandingDeps } from '../src/land.ts'
import { createPostgresCircuit } from '../src/postgres-circuit.ts'
import { createSlowJourneys } from '../src/slow-journeys.ts'

let stack: AsyncDisposableStack
let world: World
let deps: LandingDeps
/** Transactions with events since `count` was called, and how many of them were rolled back; without probe events. */
let begun = 0
let failed = 0

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  world = stack.use(await createWorld('inbox'))
  const log = createLog('test', 'error')
  const circuit = createPostgresCircuit({ probe: async () => {}, onOpen() {}, onClose() {}, log })
  const db: World['db'] = {
    ...world.db,
    landingTransaction(work, limits) {
      begun++
      return world.db.landingTransaction(work, limits).catch((error) => {
        if (error.message === 'rolled back') begun--
        else failed++
        throw error
      })
    },
  }
  deps = createLandingDeps({ db, circuit, metrics: createMetrics(), log })
})
afterEach(() => stack.disposeAsync())

const count = () => {
  begun = failed = 0
}

function envelopeOf(fields: Record<string, unknown> = {}): Envelope {
  const { bytes } = finishedJourney(fields)
  return { v: 1, env: 'live', at: Date.now(), deliveryId: randomUUID(), raw: bytes.toString() }
}
function jobOf(envelope: Envelope): QueueJob {
  const data = JSON.parse(writeEnvelope(envelope))
  return { jobId: randomUUID(), data, attempt: 1 }
}
const kindsOf = (results: readonly HandleResult[]) => results.map(({ kind }) => kind)
const landedOf = async (journeyId: string) =>
  (await world.rows('select 1 from events where journey_id = $1', [journeyId])).length

/** A transaction of another process; it ends when disposed. */
async function hold(sql: string): Promise<pg.PoolClient & AsyncDisposable> {
  const client = await world.db.pool.connect()
  await client.query(`begin; ${sql}`)
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      await client.query('rollback')
      client.release()
    },
  })
}

describe('a journey whose row another transaction keeps locked', () => {
  it('costs the first batch a few transactions, those after it none, and lands when it is free', async () => {
    const consume = createConsume(deps)
    const batch = (size: number) => [
      ...Array.from({ length: size }, () => jobOf(envelopeOf())),
      jobOf(envelopeOf({ journeyId: 'hot' })),
    ]
    expect(kindsOf(await consume([jobOf(envelopeOf({ journeyId: 'hot' }))]))).toEqual(['completed'])

    let jobs = batch(99)
    {
      await using _held = await hold(`select from journeys where journey_id = 'hot' for update`)
      count()
      const results = await consume(jobs)
      expect(kindsOf(results.slice(0, 99))).toEqual(Array(99).fill('completed'))
      expect(results.at(-1)?.kind).toBe('delayed')
      // The batch, and one half of each half.
      expect(failed).toBeLessThanOrEqual(8)

      // From now on it fails alone, if at all.
      for (let i = 0; i < 3; i++) {
        count()
        const [hot, ...others] = (await consume(batch(20).reverse())) as [HandleResult, ...HandleResult[]]
        expect(kindsOf(others)).toEqual(Array(20).fill('completed'))
        expect(hot.kind).toBe('delayed')
        expect(failed).toBeLessThanOrEqual(1)
        expect(begun).toBeLessThanOrEqual(2)
      }
    }
    jobs = jobs.slice(-1)
    await eventually(async () => (await consume(jobs))[0]?.kind === 'completed')
    expect(await landedOf('hot')).toBe(2)
    expect(await world.rows('select 1 from dead_letters')).toEqual([])
    // Quick again, it lands with the others.
    await eventually(async () => {
      await consume(batch(0))
      return deps.slowJourneys.isEmpty
    })
    count()
    await consume(batch(20))
    expect(begun).toBe(1)
  })

  it('waits in the inbox, as it was, while others land', async () => {
    const drain: Drain = createDrain(deps, 'test')
    const add = (...all: ReturnType<typeof envelopeOf>[]) =>
      insertInbox(
        world.db.pool,
        all.map((envelope) => ({ jobId: `e-${envelope.deliveryId}`, envelope: writeEnvelope(envelope) })),
      )
    await add(envelopeOf({ journeyId: 'hot' }))
    await drain(0)
    const hot = envelopeOf({ journeyId: 'hot' })
    {
      await using _held = await hold(`select from journeys where journey_id = 'hot' for update`)
      await add(hot, ...Array.from({ length: 50 }, () => envelopeOf()))
      await world.rows(`update inbox set duplicates = 3, attempts = 2, crashes = 1 where job_id = $1`, [
        `e-${hot.deliveryId}`,
      ])
      await drain(0)
      expect(await world.rows('select 1 from inbox')).toHaveLength(1)

      for (let i = 0; i < 3; i++) {
        await world.rows('update inbox set available_at = now()')
        await add(...Array.from({ length: 20 }, () => envelopeOf()))
        count()
        await drain(0)
        expect(failed).toBeLessThanOrEqual(1)
        expect(await world.rows('select duplicates, attempts, crashes from inbox')).toEqual([
          { duplicates: 3, attempts: 2, crashes: 1 },
        ])
      }
      expect(await world.rows('select 1 from inbox_claims')).toEqual([])
    }
    await eventually(async () => {
      await world.rows('update inbox set available_at = now()')
      await drain(0)
      return (await landedOf('hot')) === 2
    })
    expect(await world.rows('select duplicates from events order by duplicates desc limit 1')).toEqual([
      { duplicates: 3 },
    ])
  })
})

it('a duplicate of an event whose row another transaction keeps locked waits, and its neighbours land', async () => {
  const consume = createConsume(deps)
  const first = envelopeOf()
  const second = envelopeOf()
  await consume([jobOf(first), jobOf(second)])
  const { eventId } = JSON.parse(first.raw ?? '').body
  await using _held = await hold(`select from events where event_id = '${eventId}' for update`)
  const again = (envelope: typeof first) => jobOf({ ...envelope, deliveryId: randomUUID() })
  const others = Array.from({ length: 10 }, () => jobOf(envelopeOf()))
  expect(kindsOf(await consume([again(first), again(second), ...others]))).toEqual([
    'delayed',
    ...Array(11).fill('completed'),
  ])
  expect(await world.rows('select 1 from dead_letters')).toEqual([])
})

it('an event that another worker, which is frozen, has landed and not committed waits, and its neighbours land', async () => {
  const consume = createConsume(deps)
  const envelope = envelopeOf()
  await using frozen = await hold('select 1')
  await landJobs(frozen, [{ jobId: 'other', envelope, via: 'redis', duplicates: 0, replayOf: null }])
  const others = Array.from({ length: 10 }, () => jobOf(envelopeOf()))
  expect(kindsOf(await consume([jobOf(envelope), ...others]))).toEqual([
    'delayed',
    ...Array(10).fill('completed'),
  ])
  expect(await world.rows('select 1 from dead_letters')).toEqual([])
})

it('a journey many of whose events must be read lands alone, in one slot at a time', async () => {
  await world.rows(`insert into events (event_key, environment, event, kind, event_id, journey_id, system_decision, raw,
      body_sha256, delivery_id, received_at, via)
    select sha256(n::text::bytea), 'live', 'Finished Journey', 'finished_journey', n::text, 'long', 'D' || n, '', '', n::text,
      now(), 'redis' from generate_series(1, 600) n`)
  // As if somebody had deleted the journey's row.
  await world.rows(`insert into lost_journeys values ('live', 'long')`)
  let now = 0
  const slowJourneys = createSlowJourneys(() => now)
  const consume = createConsume({ ...deps, slowJourneys })
  const long = () => jobOf(envelopeOf({ journeyId: 'long' }))
  // The first one finds no row, the second one how many events it counts.
  await consume([long()])
  await consume([long()])
  expect(slowJourneys.isEmpty).toBe(false)
  count()
  const [other, ...results] = (await consume([jobOf(envelopeOf()), long(), long(), long()])) as HandleResult[]
  expect(other?.kind).toBe('completed')
  expect(new Set(kindsOf(results))).toEqual(new Set(['delayed']))
  expect(begun).toBe(1)
  const jobs = [long(), long(), long()]
  await eventually(async () => {
    now += 1_000
    return (await consume(jobs)).every(({ kind }) => kind === 'completed')
  })
})

describe('the slots of slow journeys', () => {
  it('take a fifth of the time, and jobs that are put off come one slot after the other', () => {
    let now = 0
    const slowJourneys = createSlowJourneys(() => now)
    slowJourneys.add('a', 100)
    expect(slowJourneys.startSlot('a', 1)).toBeGreaterThanOrEqual(400)
    now = 400
    expect(slowJourneys.startSlot('a', 400)).toBeUndefined()
    expect(slowJourneys.startSlot('b', 1)).toBeGreaterThan(0)
    now = 1_400
    slowJourneys.endSlot('a', { tookMs: 1_000, hasFailed: false })
    const delays = Array.from({ length: 3 }, () => slowJourneys.startSlot('a', 400) as number)
    expect(Math.round((delays[0] as number) / 1_000)).toBe(4)
    expect(Math.round((delays[2] as number) / 1_000)).toBe(12)
    now = 6_000
    expect(slowJourneys.startSlot('a', 1)).toBeUndefined()
    slowJourneys.endSlot('a', { tookMs: 20, hasFailed: false })
    expect(slowJourneys.isEmpty).toBe(true)
  })

  it('are forgotten after a minute without jobs, and the oldest if there are too many', () => {
    let now = 0
    const slowJourneys = createSlowJourneys(() => now)
    for (let i = 0; i < 1_001; i++) slowJourneys.add(`journey ${i}`, 1)
    expect([slowJourneys.has('journey 0'), slowJourneys.has('journey 1')]).toEqual([false, true])
    now = 70_000
    expect(slowJourneys.isEmpty).toBe(true)
  })
})
