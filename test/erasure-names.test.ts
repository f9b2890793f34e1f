import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { landJobs } from '@sluice/shared/db'
import { encodeRaw } from '@sluice/shared/envelope'
import { erase, planErasure, verifyErasures } from '@sluice/shared/operations'
import { createQueueAdmin } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { run } from '@sluice/testkit/process'
import { createRedisServer } from '@sluice/testkit/redis-server'
import { makeRoot } from '@sluice/testkit/sandbox'
import { createWorld, openDoor, type World } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { found } from './support/stored-text.ts'

const log = createLog('test', 'fatal')
const NUMBER = 'reference-of-ada-91'

it('an erasure by reference number takes a journey that an event alone ties to it which waits, also after a crash', async () => {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await createRedisServer({ dir: join(makeRoot(), 'redis') }))
  const world = stack.use(await createWorld('redis', { redisUrl: redis.url }))
  await land(
    world,
    { journeyId: 'journey-in-queue' },
    { journeyId: 'journey-in-inbox' },
    { journeyId: 'other' },
  )
  const door = stack.use(await openDoor(world))
  await door.post(eventOf({ journeyId: 'journey-in-queue', referenceNo: NUMBER }))
  const inbox = stack.use(await openDoor(world, { queue: undefined }))
  await inbox.post(eventOf({ journeyId: 'journey-in-inbox', referenceNo: NUMBER }))
  const admin = stack.use(createQueueAdmin({ url: redis.url, prefix: world.queuePrefix, shards: 1 }, log))
  await admin.ready(3_000)
  const stores = { db: world.db, queue: admin, location: undefined }

  const { journeys, counts } = await planErasure(stores, { kind: 'reference', name: NUMBER })
  expect(journeys.map(({ journeyId, events }) => [journeyId, events]).sort()).toEqual([
    ['journey-in-inbox', 1],
    ['journey-in-queue', 1],
  ])
  expect(counts).toMatchObject({ events: 2, inbox: 1, queue: 1 })
  const args = ['erase', '--reference', NUMBER, '--yes', '--json']
  for (const SLUICE_FAILPOINT of ['erase-after-jobs', '']) {
    await using command = run('apps/cli/src/main.ts', args, { ...world.env, SLUICE_FAILPOINT })
    expect(await command.exited).toBe(SLUICE_FAILPOINT ? 'SIGKILL' : 0)
  }
  expect(await found(world.db, ['journey-in-', NUMBER])).toEqual([])
  expect(await found(world.db, ['other'])).not.toEqual([])
  expect(await verifyErasures(stores, [])).toMatchObject({ problems: [], waiting: 0 })
})

it('an erasure by reference number takes a journey that has landed since it was planned', async () => {
  await using world = await createWorld('inbox')
  const stores = { db: world.db, queue: undefined, location: undefined }
  const plan = await planErasure(stores, { kind: 'reference', name: NUMBER })
  await land(world, { journeyId: 'new', referenceNo: NUMBER }, { journeyId: 'new' }, { journeyId: 'other' })
  const { subjects } = await erase(stores, plan, { actor: 'me' })
  expect(subjects).toHaveLength(plan.subjects.length + 1)
  expect(await found(world.db, ['new', NUMBER])).toEqual([])
  expect(await verifyErasures(stores, [])).toMatchObject({ problems: [] })
})

it('an erasure by a former reference number takes the journey, and all of its numbers', async () => {
  await using world = await createWorld('inbox')
  const stores = { db: world.db, queue: undefined, location: undefined }
  await land(
    world,
    { journeyId: 'new', referenceNo: NUMBER },
    { journeyId: 'new', referenceNo: 'a-later-one' },
  )
  expect(await found(world.db, [NUMBER, 'a-later-one'])).toContain('former_references.reference_no')
  const plan = await planErasure(stores, { kind: 'reference', name: NUMBER })
  expect((await erase(stores, plan, { actor: 'me' })).counts).toMatchObject({
    former_references: 1,
    journeys: 1,
  })
  expect(await found(world.db, ['new', NUMBER, 'a-later-one'])).toEqual([])
})

it('an erasure takes a spot check whose own journey is meant', async () => {
  await using world = await createWorld('inbox')
  const stores = { db: world.db, queue: undefined, location: undefined }
  const spotCheck = (spotCheckJourneyId: string) => ({ referenceNo: NUMBER, spotCheckJourneyId })
  await land(world, spotCheck('check-of-today'), spotCheck('check-of-before'))
  const plan = await planErasure(stores, { kind: 'journey', name: 'check-of-today' })
  expect((await erase(stores, plan, { actor: 'me' })).counts).toEqual({ events: 1 })
  expect(await found(world.db, ['check-of-today'])).toEqual([])
  expect(await found(world.db, ['check-of-before'])).not.toEqual([])
})

it('an erasure takes no reason that names a journey of the person, since the receipt keeps it', async () => {
  await using world = await createWorld('inbox')
  const stores = { db: world.db, queue: undefined, location: undefined }
  await land(world, { journeyId: 'journey-7', referenceNo: NUMBER })
  const plan = await planErasure(stores, { kind: 'reference', name: NUMBER })
  await expect(erase(stores, plan, { actor: 'me', reason: 'about journey-7' })).rejects.toThrow(/leave ids/)
  expect(await world.rows('select from erasures')).toEqual([])
})

type Body = Record<string, string>

function eventOf(body: Body): string {
  const event = body.journeyId === undefined ? 'Finished Spot Check' : 'Finished Step'
  return JSON.stringify({ event, body: { eventId: randomUUID(), ...body } })
}

async function land(world: World, ...bodies: Body[]): Promise<void> {
  const jobs = bodies.map((body) => {
    const envelope = { v: 1 as const, env: 'live', at: Date.now(), deliveryId: randomUUID() }
    const raw = encodeRaw(Buffer.from(eventOf(body)))
    return {
      jobId: randomUUID(),
      envelope: { ...envelope, ...raw },
      via: 'inbox' as const,
      duplicates: 0,
      replayOf: null,
    }
  })
  await world.db.landingTransaction((connection, now) => landJobs(connection, jobs, { now }))
}
