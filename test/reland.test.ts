import { createQueueAdmin } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { run } from '@sluice/testkit/process'
import { createWorld, eventually, openDoor, openWorker } from '@sluice/testkit/world'
import { expect, it } from 'vitest'

const log = createLog('test', 'fatal')

it('an event that Postgres has lost after it had landed lands again from Redis, and nothing is counted or landed twice', async () => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await createWorld('redis'))
  const door = stack.use(await openDoor(world))
  stack.use(await openWorker(world))
  for (let n = 0; n < 30; n++) expect((await door.post(eventOf(n))).status).toBe(200)
  expect((await door.post(eventOf(3))).status).toBe(200)
  await eventually(async () => (await counts(world)).duplicates === 1 && (await counts(world)).events === 30)
  const journeys = () =>
    world.rows(`select journey_id, events, final_decision from journeys order by journey_id`)
  const before = await journeys()

  await world.rows(`delete from events where event_id like 'r-1%'`)
  // A failover loses the journeys with their events.
  await world.rows('delete from journeys')
  const reland = stack.use(run('apps/cli/src/main.ts', ['reland', '--json', '--actor', 'me'], world.env))
  expect(await reland.exited).toBe(0)
  expect(JSON.parse(reland.output())).toEqual({ sent: 30, withoutBody: 0 })
  await eventually(async () => (await counts(world)).events === 30 && (await counts(world)).inbox === 0)
  expect((await counts(world)).duplicates).toBe(1)
  const touched = (await journeys()).map(({ journey_id }) => journey_id)
  expect(touched.length).toBeGreaterThan(0)
  expect(await journeys()).toEqual(before.filter(({ journey_id }) => touched.includes(journey_id)))
  expect(await world.rows('select actor, action from operator_actions')).toEqual([
    { actor: 'me', action: 'reland' },
  ])

  const admin = stack.use(
    createQueueAdmin({ url: world.redisUrl, prefix: world.queuePrefix, shards: 1 }, log),
  )
  await admin.ready(3_000)
  await admin.stripBodies(0)
  const again = stack.use(run('apps/cli/src/main.ts', ['reland', '--json'], world.env))
  expect(await again.exited).toBe(0)
  expect(JSON.parse(again.output())).toEqual({ sent: 0, withoutBody: 30 })
  // A redelivery still finds its job.
  expect((await door.post(eventOf(5))).status).toBe(200)
  await eventually(async () => (await counts(world)).duplicates === 2)
})

async function counts(world: Awaited<ReturnType<typeof createWorld>>) {
  const [row] = await world.rows<{ events: number; duplicates: number; inbox: number }>(
    `select count(*)::int as events, coalesce(sum(duplicates), 0)::int as duplicates,
      (select count(*)::int from inbox) as inbox from events`,
  )
  return row ?? { events: 0, duplicates: 0, inbox: 0 }
}

function eventOf(n: number): string {
  const body = { eventId: `r-${n}`, journeyId: `j-${n % 5}`, systemDecision: 'Complete' }
  return JSON.stringify({ event: n % 2 ? 'Finished Step' : 'Finished Journey', body })
}
