import { randomUUID } from 'node:crypto'
import { insertInbox, type Job, landJobs, rebuildJourneys } from '@sluice/shared/db'
import { encodeRaw, writeEnvelope } from '@sluice/shared/envelope'
import { identify, parseNames } from '@sluice/shared/idwise'
import { createQueueProducer } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { createWorld, eventually, openDoor, openWorker, WAYS, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const NOON = Date.UTC(2026, 5, 1, 12)

let deliveries = 0

function jobOf(raw: Buffer, at: number): Job {
  const { jobId } = identify('live', raw, parseNames(raw), at)
  const envelope = { v: 1, env: 'live', at, deliveryId: `c${deliveries++}`, ...encodeRaw(raw) } as const
  return { jobId, envelope, via: 'inbox', duplicates: 0, replayOf: null }
}

function review(journeyId: string, decision: string, at: number): Job {
  const decisions = { systemDecision: 'Refer', manualDecision: decision, finalDecision: decision }
  const body = { eventId: randomUUID(), journeyId, referenceNo: 'R', ...decisions }
  return jobOf(Buffer.from(JSON.stringify({ event: 'Updated Journey', body })), at)
}

describe('a time of receipt that cannot be, since the clock of an ingest is ahead', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld('inbox')
  })
  afterAll(() => world[Symbol.asyncDispose]())

  /** Lands at this time of Postgres. */
  const land = (delivery: Job, now: number) =>
    world.db.landingTransaction((connection) => landJobs(connection, [delivery], { now }))
  const rows = (sql: string) => world.rows(sql)

  async function journey(journeyId: string): Promise<Record<string, unknown>> {
    const read = async () =>
      (await world.rows('select * from journeys where journey_id = $1', [journeyId]))[0] ?? {}
    const landed = await read()
    expect(await rebuildJourneys(world.db)).toMatchObject({ changed: 0 })
    expect(await read()).toEqual(landed)
    return landed
  }

  it('counts as that of landing: the rejection that came after an approval stands', async () => {
    await land(review('ahead', 'Approved', NOON + 2 * HOUR), NOON + 0.75)
    await land(review('ahead', 'Rejected', NOON + HOUR), NOON + HOUR)

    expect(await journey('ahead')).toMatchObject({
      final_decision: 'Rejected',
      needs_attention: null,
      first_event_at: new Date(NOON),
      last_event_at: new Date(NOON + HOUR),
    })
  })

  it('is not followed by what landed soon after it: the more cautious decision stands, and attention is asked for', async () => {
    await land(review('close', 'Approved', NOON + 2 * HOUR), NOON)
    await land(review('close', 'Rejected', NOON + MINUTE), NOON + MINUTE)

    const { final_decision, needs_attention } = await journey('close')
    expect([final_decision, needs_attention]).toEqual(['Rejected', expect.stringContaining('too close')])
  })

  it('is kept as the ingest has claimed it, beside the request, where it is off by more than two seconds', async () => {
    await land(review('claimed', 'Approved', NOON + 2_001), NOON)
    await land(review('claimed', 'Approved', NOON + 2_000), NOON)

    const found = await rows(
      `select request, received_at from events where journey_id = 'claimed' order by request nulls last`,
    )
    expect(found).toEqual([
      { request: { claimedAt: '2026-06-01T12:00:02.001Z' }, received_at: new Date(NOON) },
      { request: null, received_at: new Date(NOON) },
    ])
  })

  it('moves no event, and an earlier one that was held up on its way still does', async () => {
    const first = review('held-up', 'Approved', NOON)
    await land(first, NOON + MINUTE)
    const again = (at: number) => ({
      ...first,
      envelope: { ...first.envelope, at, deliveryId: `c${deliveries++}` },
    })
    await land(again(NOON + 2 * HOUR), NOON + 2 * MINUTE)
    await land(again(NOON - MINUTE), NOON + 3 * MINUTE)

    const found = await rows(`select duplicates, received_at from events where journey_id = 'held-up'`)
    expect(found).toEqual([{ duplicates: 2, received_at: new Date(NOON - MINUTE) }])
    expect(await journey('held-up')).toMatchObject({ first_event_at: new Date(NOON - MINUTE) })
  })

  it('of an event without id counts in the hour within which the same bytes are the same event', async () => {
    const raw = Buffer.from(JSON.stringify({ event: 'Step Submitted', body: { stepId: 'anonymous' } }))
    const first = jobOf(raw, NOON + 3 * HOUR)
    await land(first, NOON)
    await land(jobOf(raw, NOON + 50 * MINUTE), NOON + 50 * MINUTE)
    // Its worker died before the job was completed; the job runs again after the hour.
    await land(first, NOON + 61 * MINUTE)

    const found = await rows('select duplicates, received_at from events where event_id is null')
    expect(found).toEqual([{ duplicates: 1, received_at: new Date(NOON) }])
  })
})

describe.each(WAYS)('a time of receipt in the future of Postgres, by the %s', (way) => {
  it('has landed no later than it was processed', async () => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld(way))
    stack.use(await openWorker(world))
    const { jobId, envelope } = review('future', 'Approved', Date.now() + 2 * HOUR)
    if (way === 'inbox') {
      await insertInbox(world.db.pool, [{ jobId, envelope: writeEnvelope(envelope) }])
    } else {
      const location = { url: world.redisUrl, prefix: world.queuePrefix, shards: 1 }
      const queue = stack.use(createQueueProducer(location, createLog('test', 'error')))
      await queue.ready(10_000)
      await queue.add({ jobId, envelope, eventKey: null, bodySha256: '', journeyId: 'future' })
    }

    const [row] = await eventually(async () => {
      const found = await world.rows(
        `select request, received_at <= processed_at + interval '1 second' as possible from events`,
      )
      return found.length > 0 && found
    })
    expect(row).toEqual({ request: { claimedAt: new Date(envelope.at).toISOString() }, possible: true })
  })
})

describe('an ingest whose clock is wrong', () => {
  it.each([
    ['ahead', 2 * HOUR],
    ['behind', -2 * HOUR],
  ])('stamps what it receives by the clock of Postgres: %s', async (name, skewMs) => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    stack.use(await openWorker(world))
    const right = Date.now
    Date.now = () => right() + skewMs
    stack.defer(() => {
      Date.now = right
    })
    const door = stack.use(await openDoor(world))

    // The first event already.
    await door.post(JSON.stringify({ event: name, body: { eventId: randomUUID() } }))
    const found = await eventually(async () => {
      const rows = await world.rows(`select request->'claimedAt' as claimed,
        processed_at - received_at < interval '1 minute' as right from events`)
      return rows.length > 0 && rows
    })
    expect(found).toEqual([{ claimed: null, right: true }])
  })
})
