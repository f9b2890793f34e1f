import { discardDeadLetter, findEvent, replayDeadLetter } from '@sluice/shared/db'
import { FIELD, openQueue, queueKeys, shardPrefix } from '@sluice/shared/queue'
import { finishedJourney } from '@sluice/testkit/event'
import { giveUpJob } from '@sluice/testkit/given-up-job'
import {
  createWorld,
  type Door,
  eventually,
  openDoor,
  openWorker,
  WAYS,
  type World,
} from '@sluice/testkit/world'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

/** Refuses rows with this reference, as a constraint of the user's own would. */
const REFUSE = `alter table events add constraint no_poison check (reference_no <> 'poison')`
const ALLOW = 'alter table events drop constraint no_poison'

let world: World
let door: Door
let stack: AsyncDisposableStack

async function open(way: (typeof WAYS)[number]): Promise<void> {
  stack = new AsyncDisposableStack()
  world = stack.use(await createWorld(way))
  door = stack.use(await openDoor(world))
}

type Letter = {
  id: string
  state: string
  reason: string
  replays: number
  attempts: number
  raw: Buffer
  error_message: string
}
const letters = () => world.rows<Letter>('select * from dead_letters order by id')
const letter = async (
  check: (letter: Letter) => boolean = () => true,
): Promise<Letter & { number: number }> => {
  const found = await eventually(async () => (await letters()).find(check))
  return { ...found, number: Number(found.id) }
}
const landed = async () =>
  await world.rows<{ event_id: string; via: string }>('select event_id, via from events')
const post = (bytes: Buffer) => door.post(bytes as Buffer<ArrayBuffer>)

describe.each(WAYS)('an event that cannot be landed, by the %s', (way) => {
  beforeEach(() => open(way))
  afterEach(() => stack.disposeAsync())

  it('becomes a dead letter, and its 99 neighbours in the batch land', async () => {
    await world.rows(REFUSE)
    const good = Array.from({ length: 99 }, () => finishedJourney())
    const poison = finishedJourney({ referenceNo: 'poison' })
    const all = [...good.slice(0, 50), poison, ...good.slice(50)]
    for (const { bytes } of all) expect((await post(bytes)).status).toBe(200)

    stack.use(await openWorker(world))

    const dead = await letter()
    expect(dead).toMatchObject({
      reason: 'rejected_by_database',
      state: 'open',
      event_id: poison.eventId,
      raw: poison.bytes,
    })
    await eventually(async () => (await landed()).length === 99)
    expect(await letters()).toHaveLength(1)
    expect(await world.rows('select 1 from events where body is null')).toEqual([])
  })

  it('lands by a replay once the reason is gone, and says so', async () => {
    await world.rows(REFUSE)
    stack.use(await openWorker(world))
    const poison = finishedJourney({ referenceNo: 'poison' })
    await post(poison.bytes)
    const dead = await letter()
    await world.rows(ALLOW)

    expect(
      await replayDeadLetter(world.db, { id: dead.number, actor: 'tester', reason: 'constraint dropped' }),
    ).toEqual({ kind: 'done' })

    expect(await letter(({ state }) => state === 'resolved')).toMatchObject({ replays: 1 })
    expect(await landed()).toEqual([{ event_id: poison.eventId, via: 'replay' }])
    const actions = await world.rows('select actor, action, target, reason from operator_actions')
    expect(actions).toEqual([
      { actor: 'tester', action: 'replay', target: `dead_letter ${dead.id}`, reason: 'constraint dropped' },
    ])
  })

  it('is open again when its replay fails too', async () => {
    await world.rows(REFUSE)
    stack.use(await openWorker(world))
    await post(finishedJourney({ referenceNo: 'poison' }).bytes)
    const dead = await letter()
    for (const replays of [1, 2]) {
      await replayDeadLetter(world.db, { id: dead.number, actor: 'tester' })
      await letter((row) => row.state === 'open' && row.replays === replays)
    }
    expect(await letters()).toHaveLength(1)
  })

  it('has one winner when it is replayed and discarded by many at once', async () => {
    await world.rows(REFUSE)
    const worker = await openWorker(world)
    await post(finishedJourney({ referenceNo: 'poison' }).bytes)
    const dead = await letter()
    await worker[Symbol.asyncDispose]()
    await world.rows(ALLOW)

    const acts = [replayDeadLetter, discardDeadLetter, replayDeadLetter, discardDeadLetter, replayDeadLetter]
    const outcomes = await Promise.all(acts.map((act) => act(world.db, { id: dead.number, actor: 'tester' })))

    expect(outcomes.filter(({ kind }) => kind === 'done')).toHaveLength(1)
    expect(outcomes.filter(({ kind }) => kind === 'not_open')).toHaveLength(4)
    expect(await replayDeadLetter(world.db, { id: 999_999, actor: 'tester' })).toEqual({ kind: 'not_found' })
  })

  it('waits without using up attempts while the schema is not there, and lands when it is', async () => {
    await world.rows('alter table events rename column kind to kind_away')
    const worker = stack.use(await openWorker(world))
    const events = Array.from({ length: 20 }, () => finishedJourney())
    for (const { bytes } of events) await post(bytes)
    // It has tried often enough to stop fetching.
    await eventually(() => !worker.health().ready)
    expect(await attemptsUsed()).toEqual({ waiting: 20, attempts: 0 })

    await world.rows('alter table events rename column kind_away to kind')

    await eventually(async () => (await landed()).length === 20, 40_000)
    expect(await letters()).toEqual([])
  })
})

describe('data in a store that did not come from Sluice', () => {
  afterEach(() => stack.disposeAsync())

  it.each([
    ['an envelope of a later version', { v: 2, env: 'live', at: 1, arrival: 'a', raw: '{}' }],
    ['an envelope without body', { v: 1, env: 'live', at: 1, arrival: 'a' }],
    ['an envelope whose environment is no name', { v: 1, env: 'Prod!', at: 1, arrival: 'a', raw: '{}' }],
    [
      'an envelope of a time that no database knows',
      { v: 1, env: 'live', at: 9e15, arrival: 'a', raw: '{}' },
    ],
    ['an envelope whose delivery id is no id', { v: 1, env: 'live', at: 1, arrival: 'a\0b', raw: '{}' }],
    ['a number', 42],
    ['a text', 'hello'],
    ['null', null],
  ])('%s in Redis becomes a dead letter, and the worker lives', async (_name, data) => {
    await open('redis')
    const { queue, close } = openShard()
    stack.defer(close)
    await queue.add('made by hand', data, { jobId: 'by-hand' })
    stack.use(await openWorker(world))

    expect(await letter()).toMatchObject({ reason: 'unreadable', job_id: 'by-hand' })
    await post(finishedJourney().bytes)
    await eventually(async () => (await landed()).length === 1)
  })

  it('an event of an environment that only a later release receives lands, and is found by its id', async () => {
    await open('redis')
    const { queue, close } = openShard()
    stack.defer(close)
    const { eventId, bytes } = finishedJourney()
    const data = { v: 1, env: 'uae-live', at: Date.now(), arrival: 'a', raw: bytes.toString() }
    await queue.add('a', data, { jobId: 'e-later' })
    stack.use(await openWorker(world))
    const found = await eventually(async () => {
      const { events } = await findEvent(world.db, eventId)
      return events.length > 0 && events
    })
    expect(found).toMatchObject([{ environment: 'uae-live', eventId }])
  })

  it('a job in Redis whose data is no JSON becomes a dead letter with these bytes, and the worker lives', async () => {
    await open('redis')
    const { queue, client, keys, close } = openShard()
    stack.defer(close)
    await queue.add('made by hand', {}, { jobId: 'by-hand' })
    await client.hset(keys.job('by-hand'), FIELD.data, '{"broken')
    stack.use(await openWorker(world))

    expect(await letter()).toMatchObject({ reason: 'unreadable', raw: Buffer.from('{"broken') })
    await post(finishedJourney().bytes)
    await eventually(async () => (await landed()).length === 1)
  })

  it('a job that BullMQ gave up is swept into the dead letters', async () => {
    await open('redis')
    const { queue, keys, close } = openShard()
    stack.defer(close)
    await post(finishedJourney().bytes)
    const [job] = await eventually(async () => {
      const jobs = await queue.getWaiting()
      return jobs.length > 0 && jobs
    })
    const jobId = String(job?.id)
    await giveUpJob(world.redisUrl, keys.prefix, jobId)

    stack.use(await openWorker(world))

    expect(await letter()).toMatchObject({ reason: 'worker_crashed', event: 'Finished Journey' })
    await eventually(async () => (await queue.getFailedCount()) === 0)
    expect(await queue.getJob(jobId)).toBeUndefined()
  })

  it('a row of the inbox that is no envelope becomes a dead letter, and its neighbours land', async () => {
    await open('inbox')
    await post(finishedJourney().bytes)
    await world.rows(`insert into inbox (job_id, envelope) values ('a', 'no json'), ('b', '{"v":9}')`)
    stack.use(await openWorker(world))

    await eventually(async () => (await letters()).length === 2)
    expect((await letters()).map(({ reason }) => reason)).toEqual(['unreadable', 'unreadable'])
    await eventually(async () => (await landed()).length === 1)
  })
})

function openShard() {
  const client = new Redis(world.redisUrl)
  const keys = queueKeys(shardPrefix(world.queuePrefix, 0))
  const queue = openQueue(client, keys.prefix)
  return {
    client,
    keys,
    queue,
    close: async () => {
      await queue.close()
      client.disconnect()
    },
  }
}

/** Over both stores: events that wait, and attempts that they have used. */
async function attemptsUsed(): Promise<{ waiting: number; attempts: number }> {
  const [inbox] = await world.rows<{ waiting: number; attempts: number }>(
    'select count(*)::int as waiting, coalesce(sum(attempts), 0)::int as attempts from inbox',
  )
  const { queue, close } = openShard()
  const jobs = await queue.getJobs(['waiting', 'delayed', 'active'])
  await close()
  return {
    waiting: jobs.length + (inbox?.waiting ?? 0),
    attempts: jobs.reduce((sum, job) => sum + (job?.attemptsMade ?? 0), inbox?.attempts ?? 0),
  }
}
