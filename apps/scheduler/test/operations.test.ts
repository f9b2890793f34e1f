import { replayDeadLetter, steerOperation } from '@sluice/shared/db'
import {
  type NewOperationRequest,
  planOperation,
  readOperation,
  type StartOutcome,
  startOperation,
} from '@sluice/shared/operations'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { runScheduler } from '@sluice/testkit/process'
import { createWorld, eventually, openWorker, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScheduler } from '../src/index.ts'

const log = createLog('test', 'silent')

describe('an operation on dead letters', () => {
  let stack: AsyncDisposableStack
  let world: World
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('inbox'))
  })
  afterEach(() => stack.disposeAsync())

  const letters = (count: number, fields = {}) =>
    bury(
      world,
      Array.from({ length: count }, () => finishedJourney(fields).bytes),
    )
  const schedule = () =>
    stack.use(startScheduler({ ...world.workerConfig, db: world.db, metrics: createMetrics(), log }))
  const work = async () => stack.use(await openWorker(world, { scheduler: false }))

  const REPLAY = {
    kind: 'replay',
    filter: { reason: 'rejected_by_database' },
    sample: null,
    rate: null,
    stopAfter: null,
    reason: 'fixed',
  } as const
  const start = (asked: Partial<NewOperationRequest> & { expected: number }): Promise<StartOutcome> =>
    startOperation(world.db, { ...REPLAY, ...asked, actor: 'Ada' })
  async function started(asked: Partial<NewOperationRequest> & { expected: number }): Promise<number> {
    const outcome = await start(asked)
    if (outcome.kind !== 'started') throw new Error(`it was not started: ${outcome.kind}`)
    return outcome.id
  }
  const operation = async (id: number) => {
    const read = await readOperation(world.db, id)
    if (!read) throw new Error('it is gone')
    return read
  }
  const becomes = (id: number, state: string, limitMs?: number) =>
    eventually(async () => {
      const read = await operation(id)
      return read.state === state && read
    }, limitMs)
  const ended = (id: number) =>
    eventually(async () => {
      const read = await operation(id)
      return read.endedAt !== null && read
    }, 30_000)
  const states = async () =>
    Object.fromEntries(
      (
        await world.rows<{ state: string; n: number }>(
          'select state, count(*)::int as n from dead_letters group by state',
        )
      ).map(({ state, n }) => [state, n]),
    )
  const steer = (name: Parameters<typeof steerOperation>[1], id: number) =>
    steerOperation(world.db, name, { id, actor: 'Ada' })
  /** Refuses events of this reference, as a constraint of the user's own would. */
  const refuse = (reference: string) =>
    world.rows(`alter table events add constraint no_poison check (reference_no <> '${reference}')`)

  it('is bound to the number of letters that a person has seen', async () => {
    await letters(3)
    const { filter } = REPLAY
    expect(await planOperation(world.db, { kind: 'replay', filter })).toMatchObject({
      count: 3,
      journeys: 3,
      words: 'open dead letters with the reason rejected_by_database',
    })
    await letters(1)
    expect(await start({ expected: 3 })).toEqual({ kind: 'count_changed', count: 4 })
    expect(await start({ expected: 4, filter: {} })).toEqual({ kind: 'empty_filter' })
    expect(await planOperation(world.db, { kind: 'replay', filter: {} })).toBeUndefined()
    expect(await start({ expected: 0, filter: { environment: 'sandbox' } })).toEqual({
      kind: 'nothing_to_do',
    })
    const both = await Promise.all([start({ expected: 4 }), start({ expected: 4 })])
    expect(both.map(({ kind }) => kind).sort()).toEqual(['started', 'under_way'])
    expect(await world.rows('select from operations')).toHaveLength(1)
  })

  it('is paused during its sample, goes on with it, and waits for a person all the same', async () => {
    await letters(4)
    const id = await started({ expected: 4, sample: 2 })
    expect(await steer('pause', id)).toEqual({ kind: 'done' })
    schedule()
    await work()
    await eventually(async () => (await operation(id)).dueAt > new Date())
    expect(await operation(id)).toMatchObject({ state: 'paused', taken: 0 })
    expect(await steer('resume', id)).toEqual({ kind: 'done' })
    await becomes(id, 'waiting_for_go')
    expect(await steer('go', id)).toEqual({ kind: 'done' })
    expect(await ended(id)).toMatchObject({ state: 'done', landed: 4 })
  })

  it('replays its sample first and the others after a person has said so, but none that has failed since', async () => {
    await refuse('poison')
    await letters(7)
    const poison = await letters(1, { referenceNo: 'poison' })
    await letters(2)
    await work()
    schedule()
    const id = await started({ expected: 10, sample: 5 })
    expect(await becomes(id, 'waiting_for_go')).toMatchObject({ taken: 5, landed: 5, failed: 0 })
    expect(await states()).toEqual({ resolved: 5, open: 5 })
    await letters(1)
    await world.rows(`update dead_letters set last_failed_at = now() where id = (
      select max(id) from dead_letters where state = 'open' and reference_no <> 'poison' and id <= 10)`)

    expect(await steer('resume', id)).toEqual({ kind: 'not_possible', state: 'waiting_for_go' })
    expect(await steer('go', id)).toEqual({ kind: 'done' })
    expect(await ended(id)).toMatchObject({ state: 'done', taken: 9, landed: 8, failed: 1, skipped: 1 })
    expect(await states()).toEqual({ resolved: 8, open: 3 })
    const acts = await world.rows(
      `select actor, action, target, reason, operation_id::int from operator_actions
        where target in ('operation ${id}', 'dead_letter ${poison[0]}') order by id`,
    )
    expect(acts).toEqual([
      { actor: 'Ada', action: 'start', target: `operation ${id}`, reason: 'fixed', operation_id: null },
      { actor: 'Ada', action: 'go', target: `operation ${id}`, reason: null, operation_id: null },
      {
        actor: 'Ada',
        action: 'replay',
        target: `dead_letter ${poison[0]}`,
        reason: 'fixed',
        operation_id: id,
      },
    ])
  })

  it('stops at exactly as many failures as it may have', async () => {
    await refuse('poison')
    await letters(20, { referenceNo: 'poison' })
    await work()
    schedule()
    const id = await started({ expected: 20, stopAfter: 3 })
    expect(await ended(id)).toMatchObject({ state: 'stopped', taken: 3, failed: 3, landed: 0 })
    const replayed = await world.rows('select from dead_letters where replays > 0')
    expect(replayed).toHaveLength(3)
  })

  it('keeps its rate, pauses at once, and goes on', async () => {
    await letters(150)
    await Promise.all([schedule(), schedule()])
    const id = await started({ expected: 150, rate: 40 })
    await eventually(async () => (await operation(id)).taken >= 60)
    expect(await steer('pause', id)).toEqual({ kind: 'done' })
    const { taken, dueAt, createdAt } = await operation(id)
    expect(taken).toBeLessThan(150)
    const acts = await world.rows<{ at: Date; n: number }>(
      'select at, count(*)::int as n from operator_actions where operation_id = $1 group by at order by at',
      [id],
    )
    // Each batch comes no sooner than its rate allows, and none may make up for more than a second.
    const [first] = acts
    const tookMs = (acts.at(-1)?.at.getTime() ?? 0) - (first?.at.getTime() ?? 0)
    expect(taken - (acts.at(-1)?.n ?? 0)).toBeLessThanOrEqual((40 * (tookMs + 1_000)) / 1_000)
    expect(dueAt.getTime()).toBeGreaterThan(createdAt.getTime())

    await eventually(async () => (await operation(id)).dueAt > dueAt)
    expect((await operation(id)).taken).toBe(taken)
    expect(await steer('resume', id)).toEqual({ kind: 'done' })
    await eventually(async () => (await operation(id)).taken > taken)
    expect(await steer('cancel', id)).toEqual({ kind: 'done' })
    expect(await steer('resume', id)).toEqual({ kind: 'not_possible', state: 'cancelled' })
    // Those under way still land.
    await work()
    const done = await ended(id)
    expect(done).toMatchObject({ state: 'cancelled', landed: done.taken })
  })

  it('goes on where it was when schedulers and workers are killed', async () => {
    const ids = await letters(250)
    const scheduler = stack.use(
      runScheduler({ ...world.env, SCHEDULER_PORT: '0', SLUICE_FAILPOINT: 'operation-in-transaction:3' }),
    )
    const id = await started({ expected: 250 })
    expect(await scheduler.exited).toBe('SIGKILL')
    expect(await operation(id)).toMatchObject({ state: 'running', taken: 100 })
    expect(await states()).toEqual({ open: 150, replaying: 100 })

    schedule()
    await work()
    expect(await ended(id)).toMatchObject({ state: 'done', taken: 250, landed: 250, failed: 0 })
    expect(await world.rows('select from events')).toHaveLength(250)
    const replays = await world.rows('select from dead_letters where id = any($1) and replays = 1', [ids])
    expect(replays).toHaveLength(250)
  })

  it('passes over letters that others have acted on, so that each is replayed once', async () => {
    const ids = await letters(120)
    const id = await started({ expected: 120 })
    schedule()
    schedule()
    const single = await Promise.all(
      ids.slice(60, 90).map((letter) => replayDeadLetter(world.db, { id: letter, actor: 'Bob' })),
    )
    await work()
    const done = await ended(id)
    const byHand = single.filter(({ kind }) => kind === 'done').length
    expect([done.taken + byHand, done.skipped, done.landed]).toEqual([120, byHand, done.taken])
    expect(await world.rows('select from dead_letters where replays <> 1')).toEqual([])
    await eventually(async () => (await states()).resolved === 120)
  })

  it('discards conflicts, whose journeys need no attention any more, and an undo opens them again', async () => {
    await work()
    schedule()
    const journey = { journeyId: 'J-1', eventId: 'end' }
    const first = finishedJourney(journey).bytes
    const [landed] = await bury(world, [first])
    await replayDeadLetter(world.db, { id: landed as number, actor: 'Ada' })
    await eventually(async () => (await states()).resolved === 1)
    const second = finishedJourney({ ...journey, systemDecision: 'Refer' }).bytes
    const [conflict] = await bury(world, [second], { reason: 'unreadable' })
    await replayDeadLetter(world.db, { id: conflict as number, actor: 'Ada' })
    const attention = async () =>
      (await world.rows<{ text: string | null }>('select needs_attention as text from journeys'))[0]?.text
    await eventually(async () => (await attention()) !== null)

    const filter = { reason: 'conflict' } as const
    const id = await started({ kind: 'discard', filter, expected: 1, reason: 'the first one is right' })
    expect(await ended(id)).toMatchObject({ state: 'done', taken: 1 })
    expect(await attention()).toBeNull()

    const undone = await started({
      kind: 'undo',
      filter: { operation: id },
      expected: 1,
      reason: 'it was not',
    })
    expect(await ended(undone)).toMatchObject({ state: 'done', taken: 1 })
    expect(await states()).toEqual({ resolved: 1, open: 1 })
    expect(await attention()).not.toBeNull()
  })
})
