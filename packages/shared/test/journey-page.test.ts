import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type JourneyPage, lookUpJourneys, readJourneyPage, type Stores } from '../src/operations/index.ts'

describe('the page of a journey', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let stores: Stores
  const keys: string[] = []
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    stores = { db: world.db, queue: undefined, location: undefined }
    const door = stack.use(await openDoor(world))
    const worker = await openWorker(world)
    let sent = 0
    const send = (event: string, body: Record<string, unknown>) =>
      door.post(JSON.stringify({ event, body: { eventId: `e-${++sent}`, ...body } }))
    const post = async (event: string, body: Record<string, unknown>) => {
      const answer = await send(event, body)
      keys.push(((await answer.json()) as { id: string }).id)
      await eventually(async () => {
        const sql =
          'select (select count(*) from events)::int + (select count(*) from dead_letters)::int as n'
        return (await world.rows<{ n: number }>(sql))[0]?.n === sent
      })
    }
    const journey = { journeyId: 'J-1', referenceNo: 'R-1' }
    await post('Finished Step', { ...journey, systemDecision: 'Incomplete' })
    await post('Finished User Steps', { ...journey, systemDecision: 'Incomplete' })
    await post('Finished Journey', { ...journey, systemDecision: 'Refer' })
    const approved = { manualDecision: 'Approved', finalDecision: 'Approved', action: 'Manual Review' }
    await post('Updated Journey', { ...journey, systemDecision: 'Refer', ...approved })
    await post('Finished Step', { ...journey, systemDecision: 'Incomplete' })
    await post('Finished Spot Check', { referenceNo: 'R-1', systemDecision: 'Complete' })
    await post('Finished Journey', { ...journey, eventId: 'e-3', systemDecision: 'Complete' })
    await post('Finished User Steps', { journeyId: 'J-2', referenceNo: 'R-1', systemDecision: 'Incomplete' })
    await post('Finished User Steps', { journeyId: 'J-5', systemDecision: 'Incomplete' })
    await post('Finished User Steps', { journeyId: 'J-6', systemDecision: 'Incomplete' })
    await worker[Symbol.asyncDispose]()
    await send('Finished Journey', { journeyId: 'J-5', systemDecision: 'Complete' })
    await send('Finished Step', { journeyId: 'J-7', referenceNo: 'R-7' })
    await world.rows(`insert into dead_letters (job_id, environment, event, journey_id, reason, error_class, error_message,
        fingerprint, attempts, raw, envelope)
      values ('e-6', 'live', 'Finished Journey', 'J-6', 'data_error', 'Error', 'no', 'f', 1, '', '')`)
    await world.rows(
      `insert into refusals values (sha256('x'), 'live', 'Finished Step', 'no', 'J-3', null, now(), now(), 1)`,
    )
  })
  afterAll(() => stack.disposeAsync())

  async function pageOf(journeyId: string, at?: number, zone?: string): Promise<JourneyPage> {
    const name = { environment: 'live', journeyId }
    const page = await readJourneyPage(stores, name, { at: at === undefined ? undefined : keys[at], zone })
    if (page.kind !== 'journey') throw new Error(JSON.stringify(page))
    return page
  }

  it('has the state now, and of each event what it changed or why it did not win', async () => {
    const { state, timeline, later, missing, total } = await pageOf('J-1')
    expect(state).toMatchObject({
      stage: 'reviewed',
      systemDecision: 'Refer',
      finalDecision: 'Approved',
      events: 5,
    })
    expect([timeline.length, total, later, missing]).toEqual([6, 6, [], null])
    expect(timeline[2]?.changed).toContainEqual({ field: 'finalDecision', from: 'Incomplete', to: 'Refer' })
    expect(timeline[0]?.supersededBecause).toBe('Incomplete was replaced later by Refer')
    expect(timeline[4]?.supersededBecause).toBe(
      'it came late: the system decided Incomplete before Refer, and the later decision stays',
    )
    expect(timeline[5]?.supersededBecause).toContain('reference')
  })

  it('has the state as of any event: the fold of the events until then', async () => {
    const first = await pageOf('J-1', 0)
    expect(first.state).toMatchObject({ stage: 'in_progress', finalDecision: 'Incomplete', events: 1 })
    expect([first.timeline.length, first.later.length]).toEqual([1, 5])
    const byId = await readJourneyPage(stores, { environment: 'live', journeyId: 'J-1' }, { at: 'e-1' })
    expect(byId).toMatchObject({ at: keys[0], state: first.state })
    const third = await pageOf('J-1', 2)
    expect(third.state).toMatchObject({ stage: 'finished', manualDecision: null, finalDecision: 'Refer' })
    expect(third.timeline[2]?.supersededBecause).toBeNull()
    const stages = await Promise.all(
      [0, 1, 2, 3, 4].map(async (at) => (await pageOf('J-1', at)).state?.stage),
    )
    expect(stages).toEqual(['in_progress', 'submitted', 'finished', 'reviewed', 'reviewed'])
  })

  it('refuses in words another event and another zone', async () => {
    const name = { environment: 'live', journeyId: 'J-1' }
    for (const asked of [{ at: 'x' }, { at: keys[7] }, { zone: 'Nowhere/Else' }, { zone: '' }]) {
      expect(await readJourneyPage(stores, name, asked)).toMatchObject({
        kind: 'refused',
        words: expect.any(String),
      })
    }
  })

  it('names what is missing, and for how long; how long it usually takes if enough journeys tell', async () => {
    const before = await pageOf('J-2')
    expect(before.missing).toMatchObject({
      what: 'decision',
      words: expect.stringMatching(/submitted \d+ (s|min) ago, and no decision/),
    })
    await world.rows(`insert into events (event_key, environment, event, kind, journey_id, raw, body_sha256, delivery_id,
        received_at, processed_at, via, n)
      select sha256((k || i)::bytea), 'live', k, k, 'other-' || i, '', '', '', now() - h, now(), 'redis', 1
      from generate_series(1, 20) i, (values ('finished_user_steps', interval '6 min'), ('finished_journey', '0')) as t(k, h)`)
    expect((await pageOf('J-2')).missing?.words).toContain(
      'usually it takes 6 min, and 95 of 100 come within 6 min',
    )
  })

  it('has a paragraph for the customer, in a zone that it names', async () => {
    const { paragraph } = await pageOf('J-1', undefined, 'Asia/Kolkata')
    expect(paragraph).toMatch(/^On \d+ \w+ \d{4} at \d\d:\d\d the identity check was begun\. (At|On) /)
    expect(paragraph).toContain('the identity check ended: for a reviewer to decide (“Refer”).')
    expect(paragraph).toContain('a reviewer decided: approved (“Approved”).')
    expect(paragraph).toMatch(/\(Times: Asia\/Kolkata\.\)$/)
  })

  it('has the other journeys of its reference number, its dead letters and what was refused', async () => {
    const { beside, letters } = await pageOf('J-1')
    expect(beside).toMatchObject([{ journeyId: 'J-2' }])
    expect(letters).toMatchObject([{ reason: 'conflict', state: 'open' }])
    const name = { environment: 'live', journeyId: 'J-3' }
    expect(await readJourneyPage(stores, name)).toMatchObject({
      kind: 'not_landed',
      refused: [{ eventId: 'no' }],
    })
    expect(await readJourneyPage(stores, { ...name, journeyId: 'J-4' })).toEqual({
      kind: 'not_here',
      looked: [],
    })
  })

  it('says what of it waits, also if nothing has landed, and then names nothing as missing', async () => {
    expect(await readJourneyPage(stores, { environment: 'live', journeyId: 'J-7' })).toMatchObject({
      kind: 'not_landed',
      waiting: [{ where: 'inbox', event: 'Finished Step' }],
    })
    const sandbox = { environment: 'sandbox', journeyId: 'J-7' }
    expect(await readJourneyPage(stores, sandbox)).toMatchObject({ kind: 'not_here' })
    expect(await pageOf('J-5')).toMatchObject({
      state: { stage: 'submitted' },
      missing: null,
      waiting: [{ event: 'Finished Journey' }],
    })
    expect(await pageOf('J-6')).toMatchObject({ missing: null, letters: [{ state: 'open' }], waiting: [] })
    const away = { db: world.db, queue: { ready: async () => false } as unknown as Stores['queue'] }
    expect(await readJourneyPage(away, { environment: 'live', journeyId: 'J-4' })).toMatchObject({
      kind: 'not_here',
      looked: [expect.any(String), 'not in the queue: Redis does not answer'],
    })
  })

  it('finds by id and by reference number what has not landed, also without a journey', async () => {
    const waiting = [{ journeyId: 'J-7' }]
    expect(await lookUpJourneys(stores, 'J-7')).toMatchObject({
      journeys: [{ page: { kind: 'not_landed', waiting, letters: [] } }],
    })
    expect(await lookUpJourneys(stores, 'R-7')).toMatchObject({ journeys: [], waiting, letters: [] })
    expect(await lookUpJourneys(stores, 'J-6')).toMatchObject({
      journeys: [{ page: { journey: { stage: 'submitted' }, letters: [{ journeyId: 'J-6' }] } }],
      letters: [],
    })
    expect(await lookUpJourneys(stores, 'J-1')).toMatchObject({
      journeys: [{ page: { letters: [{ reason: 'conflict' }], waiting: [] } }],
      letters: [],
    })
  })
})
