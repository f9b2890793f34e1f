import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  actOnDeadLetters,
  lookUpEvent,
  lookUpJourneys,
  relandCompleted,
  type Stores,
} from '../src/operations/index.ts'

describe('operations on a database without Redis', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let stores: Stores
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    stores = { db: world.db, queue: undefined, location: undefined }
    const door = stack.use(await openDoor(world))
    const post = (event: string, body: Record<string, string>) => door.post(JSON.stringify({ event, body }))
    stack.use(await openWorker(world))
    const journey = { journeyId: 'J-1', referenceNo: 'R-1' }
    await post('Finished Step', { eventId: 'step', ...journey })
    await post('Finished Spot Check', { eventId: 'spot', referenceNo: 'R-1', systemDecision: 'Refer' })
    await post('Finished Journey', { eventId: 'end', ...journey, systemDecision: 'Complete' })
    await post('Finished Journey', { eventId: 'end', ...journey, systemDecision: 'Refer' })
    await eventually(async () => {
      const [row] = await world.rows<{ n: number }>(
        'select (select count(*) from events)::int + (select count(*) from dead_letters)::int as n',
      )
      return row?.n === 4
    })
  })
  afterAll(() => stack.disposeAsync())

  it('find an event with its dead letters, and otherwise count the events that wait', async () => {
    const found = await lookUpEvent(stores, 'end')
    expect([found.events.length, found.deadLetters.length, found.waiting]).toEqual([1, 1, undefined])
    const waiting = { inbox: 0, queue: null }
    expect(await lookUpEvent(stores, 'elsewhere')).toEqual({
      events: [],
      deadLetters: [],
      gone: [],
      waiting,
    })
  })

  it('show a spot check in the timeline of its reference, at its time of receipt and without effect', async () => {
    const { journeys, total } = await lookUpJourneys(stores, 'R-1')
    expect(total).toBe(1)
    expect(journeys[0]?.journey).toMatchObject({ journeyId: 'J-1', systemDecision: 'Complete' })
    const { timeline = [] } = journeys[0] ?? {}
    expect(timeline.map(({ event }) => event.eventId)).toEqual(['step', 'spot', 'end'])
    expect(timeline[1]).toMatchObject({
      changed: [],
      supersededBecause: expect.stringContaining('reference'),
    })
  })

  it('act on each dead letter, report each, and record who acted', async () => {
    const act = { ids: [1, 2], actor: 'Ada', reason: 'known' }
    expect(await Array.fromAsync(actOnDeadLetters(world.db, 'discard', act))).toEqual([
      { id: 1, kind: 'done' },
      { id: 2, kind: 'not_found' },
    ])
    expect(await Array.fromAsync(actOnDeadLetters(world.db, 'replay', { ids: [1], actor: 'Ada' }))).toEqual([
      { id: 1, kind: 'not_open', state: 'discarded' },
    ])
    expect(await world.rows('select actor, action, target, reason from operator_actions')).toEqual([
      { actor: 'Ada', action: 'discard', target: 'dead_letter 1', reason: 'known' },
    ])
  })

  it('send nothing through landing again if there is no Redis', async () => {
    expect(await relandCompleted(stores, { sinceMs: 1_000, actor: 'Ada' })).toEqual({ kind: 'no_redis' })
  })
})
