import { gzipSync } from 'node:zlib'
import { run } from '@sluice/testkit/process'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { found } from './support/stored-text.ts'

const PERSON = { journeyId: 'j-of-ada-7f3a', referenceNo: 'ref-of-ada-91' }
const OTHER = { journeyId: 'j-of-bob-55', referenceNo: 'ref-of-bob-2' }

it('an erased journey is in no table any more, its events stay out, and other journeys stay', async () => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await createWorld('redis'))
  const door = stack.use(await openDoor(world))
  const worker = stack.use(await openWorker(world))
  const events = [
    eventOf('Finished Step', { eventId: 'a-1', ...PERSON, fullName: 'Ada Lovelace' }),
    eventOf('Finished Journey', { eventId: 'a-2', ...PERSON, systemDecision: 'Complete' }),
    eventOf('Finished Journey', { eventId: 'b-1', ...OTHER, systemDecision: 'Complete' }),
  ]
  for (const event of events) await door.post(event)
  await door.post(gzipSync(eventOf('Step Submitted', { eventId: 'a-3', ...PERSON })))
  await door.post(`{"event":"Finished Step","body":{"journeyId":"${PERSON.journeyId}","fullName":"Ada Lo`)
  await door.post(eventOf('Finished Journey', { eventId: 'a-2', ...PERSON, systemDecision: 'Refer' }))
  await eventually(
    async () => (await countOf(world, 'events')) === 5 && (await countOf(world, 'dead_letters')) === 1,
  )
  const before = await world.rows('select * from journeys where journey_id = $1', [OTHER.journeyId])

  const erase = stack.use(sluice(world, 'erase', '--journey', PERSON.journeyId, '--yes', '--json'))
  expect([await erase.exited, erase.output()]).toEqual([0, expect.stringContaining('"signature"')])
  expect(JSON.parse(erase.output())).toMatchObject({
    number: 1,
    counts: { events: 4, dead_letters: 1, journeys: 1 },
    purgedAt: expect.any(String),
  })
  expect(await found(world.db, [PERSON.journeyId, PERSON.referenceNo, 'a-1', 'Ada'])).toEqual([])
  expect(await world.rows('select * from journeys where journey_id = $1', [OTHER.journeyId])).toEqual(before)

  for (const event of events) await door.post(event)
  await door.post(eventOf('AML Monitor Update', { eventId: 'a-9', ...PERSON }))
  await eventually(async () => (await world.rows('select late from erasures'))[0]?.late === 1)
  await eventually(async () => (await countOf(world, 'events')) === 1)
  expect(await found(world.db, [PERSON.journeyId, PERSON.referenceNo, 'Ada'])).toEqual([])
  await worker[Symbol.asyncDispose]()
})

function sluice(world: World, ...args: string[]) {
  return run('apps/cli/src/main.ts', args, world.env)
}

async function countOf(world: World, table: string): Promise<number> {
  const [row] = await world.rows<{ n: number }>(`select count(*)::int as n from ${table}`)
  return row?.n ?? 0
}

function eventOf(event: string, body: Record<string, string>): string {
  return JSON.stringify({ event, body })
}
