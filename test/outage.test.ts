import { readIngestConfig, startIngest } from '@sluice/ingest'
import { createErasedSubjects, migrateSchema, writeRefusals } from '@sluice/shared/db'
import { erase, planErasure, readState, type State, verifyErasures } from '@sluice/shared/operations'
import { createQueueAdmin } from '@sluice/shared/queue'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { run } from '@sluice/testkit/process'
import { settingsOf } from '@sluice/testkit/settings'
import { createStores } from '@sluice/testkit/stores'
import { createWorld, eventually, post } from '@sluice/testkit/world'
import { readWorkerConfig, startWorker } from '@sluice/worker'
import { expect, it } from 'vitest'
import { found } from './support/stored-text.ts'

const log = createLog('test', 'silent')

it('an outage of both stores is told in words, and the events that were refused until IDWise has sent them again', async () => {
  await using stack = new AsyncDisposableStack()
  const { db, postgres, redis } = stack.use(await createStores('test', { statementMs: 2_000 }))
  await migrateSchema(db)
  const location = { url: redis.url, prefix: 'outage', shards: 1 }
  const env = settingsOf({ databaseUrl: postgres.url, queue: location })
  stack.use(await startWorker(readWorkerConfig(env), { log, metrics: createMetrics() }))
  const ingest = stack.use(await startIngest(readIngestConfig(env), { log, metrics: createMetrics() }))
  const stores = { db, queue: stack.use(createQueueAdmin(location, log)), location }
  const send = async ({ bytes }: { bytes: Buffer }) =>
    (await post(`http://127.0.0.1:${ingest.port}`, bytes)).status
  const seen = (kind: string) =>
    eventually(async () => {
      const state: State = await readState(stores, { redisMs: 200 })
      return state.causes[0]?.kind === kind && state
    }, 40_000)
  const open = async () => (await readState(stores)).figures.recorded?.refusals.awaited
  await eventually(async () => (await readState(stores)).level === 'ok')

  await postgres.kill()
  expect(await send(finishedJourney())).toBe(200)
  expect((await seen('postgres_down')).sentence).toMatch(
    /^Postgres does not answer: events wait in Redis \(1\), none is refused\.$/,
  )
  await redis.kill()
  const state = await seen('no_store')
  expect([state.level, state.sentence]).toEqual([
    'fail',
    'Neither Postgres nor Redis answers: events are refused. IDWise gives up on an event 15 to 30 min after its first try.',
  ])
  const [first, second] = [finishedJourney(), finishedJourney()]
  for (const event of [first, first, second]) expect(await send(event)).toBe(503)
  const now = run('apps/cli/src/main.ts', ['now'], env)
  expect(await now.exited).toBe(1)
  expect(now.output()).toMatch(/^FAIL {2}Neither Postgres nor Redis answers: events are refused/)

  await postgres.start()
  await redis.start()
  await eventually(async () => (await open()) === 2, 40_000)
  const { rows } = await db.pool.query('select event_id, deliveries from refusals order by deliveries')
  expect(rows).toEqual([
    { event_id: second.eventId, deliveries: 1 },
    { event_id: first.eventId, deliveries: 2 },
  ])
  await eventually(
    async () => (await readState(stores)).figures.recorded?.flow.lastHour.refused.unavailable === 3,
  )
  await eventually(async () => (await send(first)) === 200)
  await eventually(async () => (await open()) === 1, 40_000)
}, 120_000)

it('an erasure deletes the refusals of a journey, lets none be written again, and finds one that is', async () => {
  await using world = await createWorld('inbox')
  const stores = { db: world.db, queue: undefined, location: undefined }
  const refusalOf = (who: string, n: number) => ({
    eventKey: Buffer.alloc(32, n),
    environment: 'live',
    event: 'Finished Step',
    eventId: `event-${n}`,
    journeyId: `journey-of-${who}`,
    referenceNo: `reference-of-${who}`,
    firstRefusedAt: new Date(),
    lastRefusedAt: new Date(),
    deliveries: 1,
  })
  const kept = async () =>
    (await world.rows<{ n: string }>('select event_id as n from refusals')).map(({ n }) => n)
  const ofAda = ['journey-of-ada', 'reference-of-ada']
  await writeRefusals(world.db, createErasedSubjects(log), [refusalOf('ada', 1), refusalOf('bob', 2)])
  const plan = await planErasure(stores, { kind: 'reference', name: 'reference-of-ada' })
  expect([plan.counts.refusals, plan.journeys.map(({ journeyId }) => journeyId)]).toEqual([
    1,
    ['journey-of-ada'],
  ])
  const receipt = await erase(stores, plan, { actor: 'me' })
  expect([receipt.counts, await found(world.db, ofAda)]).toEqual([{ refusals: 1 }, []])

  await writeRefusals(world.db, createErasedSubjects(log), [refusalOf('ada', 3), refusalOf('bob', 4)])
  expect(await kept()).toEqual(['event-2', 'event-4'])
  expect((await verifyErasures(stores, [])).problems).toEqual([])
  await world.rows(`update refusals set journey_id = 'journey-of-ada' where event_id = 'event-4'`)
  expect((await verifyErasures(stores, [])).problems).toEqual([
    expect.stringContaining('1 found in refusals of what erasure 1 has erased'),
  ])
})
