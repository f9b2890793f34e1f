import { openQueue, queueKeys, shardPrefix } from '@sluice/shared/queue'
import { finishedJourney, inParallel, shuffled } from '@sluice/testkit/event'
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

const HOUR_MS = 60 * 60 * 1000
const OLD_SHAPE = Buffer.from(
  '{"event":"Step Submitted","body":{"journeyId":"j1","stepId":"1","stepType":"Selfie"}}',
)

describe.each(WAYS)('an event that comes more than once, by the %s', (way) => {
  let world: World
  let door: Door
  let stack: AsyncDisposableStack

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld(way))
    door = stack.use(await openDoor(world))
  })
  afterEach(() => stack.disposeAsync())

  const counts = async () =>
    (
      await world.rows<{ rows: number; duplicates: number }>(
        'select count(*)::int as rows, coalesce(sum(duplicates), 0)::int as duplicates from events',
      )
    )[0] as { rows: number; duplicates: number }

  async function settles(expected: { rows: number; duplicates: number }): Promise<void> {
    await eventually(async () => {
      const { rows, duplicates } = await counts()
      return rows >= expected.rows && duplicates >= expected.duplicates
    })
    expect(await counts()).toEqual(expected)
  }

  it('lands once when it comes 100 times in parallel, and counts 99 duplicates', async () => {
    stack.use(await openWorker(world))
    const { bytes } = finishedJourney()

    const answers = await Promise.all(Array.from({ length: 100 }, () => door.post(bytes)))

    expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(200))
    const ids = new Set(
      await Promise.all(answers.map(async (answer) => ((await answer.json()) as { id: string }).id)),
    )
    expect(ids.size).toBe(1)
    await settles({ rows: 1, duplicates: 99 })
  })

  it('counts the duplicates that came before any worker ran', async () => {
    const { bytes } = finishedJourney()
    for (let i = 0; i < 5; i++) await door.post(bytes)
    stack.use(await openWorker(world))
    await settles({ rows: 1, duplicates: 4 })
  })

  it('lands exactly 1,000 of 1,000 events sent 1 to 5 times each over 32 connections', async () => {
    stack.use(await openWorker(world))
    stack.use(await openWorker(world))
    const events = Array.from({ length: 1_000 }, (_, index) => ({
      ...finishedJourney(),
      times: 1 + (index % 5),
    }))
    const sends = shuffled(
      events.flatMap(({ bytes, times }) => Array.from({ length: times }, () => bytes)),
      7,
    )
    const statuses = new Map<number, number>()

    await inParallel(sends, 32, async (bytes) => {
      const { status } = await door.post(bytes)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    })

    expect([...statuses]).toEqual([[200, sends.length]])
    await settles({ rows: 1_000, duplicates: sends.length - 1_000 })
  })

  it('is still a duplicate after its job is gone from the store', async () => {
    stack.use(await openWorker(world))
    const { bytes } = finishedJourney()
    await door.post(bytes)
    await settles({ rows: 1, duplicates: 0 })
    await forgetJobs(world)

    await door.post(bytes)

    await settles({ rows: 1, duplicates: 1 })
  })

  it('keeps the first body of an event id, and the second as a dead letter', async () => {
    stack.use(await openWorker(world))
    const first = finishedJourney()
    const second = Buffer.from(first.bytes.toString().replace('Complete', 'Refer'))
    await door.post(first.bytes)
    await settles({ rows: 1, duplicates: 0 })

    expect((await door.post(second)).status).toBe(200)

    const [letter] = await eventually(async () => {
      const letters = await world.rows('select * from dead_letters')
      return letters.length > 0 && letters
    })
    expect(letter).toMatchObject({ reason: 'conflict', state: 'open', event_id: first.eventId, raw: second })
    const [event] = await world.rows<{ raw: Buffer }>('select raw from events')
    expect(event?.raw).toEqual(first.bytes)
    expect(await counts()).toEqual({ rows: 1, duplicates: 0 })
  })

  it('keeps no count for ever of redeliveries that can never be counted on a row', async () => {
    stack.use(await openWorker(world))
    const first = finishedJourney()
    await door.post(first.bytes)
    await settles({ rows: 1, duplicates: 0 })
    const second = Buffer.from(first.bytes.toString().replace('Complete', 'Refer'))
    for (let i = 0; i < 4; i++) await door.post(second)
    await eventually(async () => (await world.rows('select 1 from dead_letters')).length === 1)
    const connection = new Redis(world.redisUrl)
    const { redeliveries } = queueKeys(shardPrefix(world.queuePrefix, 0))
    await eventually(async () => (await connection.hlen(redeliveries)) === 0)
    connection.disconnect()
    expect(await counts()).toEqual({ rows: 1, duplicates: 0 })
  })

  it('keeps both when the event id is the same but the event or the environment is another', async () => {
    stack.use(await openWorker(world))
    const { bytes } = finishedJourney()
    await door.post(bytes)
    await door.post(Buffer.from(bytes.toString().replace('Finished Journey', 'Updated Journey')))
    await door.post(bytes, { environment: 'sandbox' })
    await settles({ rows: 3, duplicates: 0 })
  })

  it('takes a misspelt or differently written event name for the same event', async () => {
    stack.use(await openWorker(world))
    const named = (event: string) =>
      Buffer.from(JSON.stringify({ event, body: { eventId: 'one-id-of-aml' } }))
    await door.post(named('AML Monitor Update'))
    await settles({ rows: 1, duplicates: 0 })
    await door.post(named(' aml  Monior UPDATE '))
    // Another body under the same key.
    await eventually(async () => (await world.rows('select 1 from dead_letters')).length === 1)
    expect(await counts()).toEqual({ rows: 1, duplicates: 0 })
  })

  it('without event id is the same event within 60 minutes of its first receipt, and another one after', async () => {
    const worker = await openWorker(world)
    await door.post(OLD_SHAPE)
    await door.post(OLD_SHAPE)
    await settles({ rows: 1, duplicates: 1 })
    await worker[Symbol.asyncDispose]()
    await age(world, HOUR_MS - 60_000)
    stack.use(await openWorker(world))

    await door.post(OLD_SHAPE)
    await settles({ rows: 1, duplicates: 2 })

    await age(world, 120_000)
    await door.post(OLD_SHAPE)
    await settles({ rows: 2, duplicates: 2 })
  })

  it('without event id lands once when it comes 100 times in parallel to three workers', async () => {
    for (let i = 0; i < 3; i++) stack.use(await openWorker(world))
    await Promise.all(Array.from({ length: 100 }, () => door.post(OLD_SHAPE)))
    await settles({ rows: 1, duplicates: 99 })
  })
})

/** What an hour does to finished jobs. */
async function forgetJobs(world: World): Promise<void> {
  if (world.way === 'inbox') return
  const connection = new Redis(world.redisUrl)
  const queue = openQueue(connection, shardPrefix(world.queuePrefix, 0))
  await eventually(async () => (await queue.getCompletedCount()) > 0)
  await queue.clean(0, 1_000, 'completed')
  expect(await queue.getJobCounts('completed', 'waiting', 'active')).toEqual({
    completed: 0,
    waiting: 0,
    active: 0,
  })
  await queue.close()
  connection.disconnect()
}

/** Lets what has landed be older by this, and its job be gone. */
async function age(world: World, ms: number): Promise<void> {
  await world.rows(`update events set received_at = received_at - $1 * interval '1 millisecond'`, [ms])
  await forgetJobs(world)
}
