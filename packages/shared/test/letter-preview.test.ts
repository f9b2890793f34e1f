import { bury } from '@sluice/testkit/dead-letter'
import { createWorld, eventually, openWorker, type World } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { discardDeadLetter, previewLetters, replayDeadLetter } from '../src/db/index.ts'

const bodyOf = (event: string, eventId: string, fields: object) =>
  JSON.stringify({ event, body: { eventId, journeyId: 'J-1', referenceNo: 'R-1', ...fields } })

async function land(world: World, body: string): Promise<void> {
  const [id] = await bury(world, [body], { reason: 'unreadable' })
  await replayDeadLetter(world.db, { id: id as number, actor: 'test' })
  await eventually(
    async () => (await world.rows(`select from dead_letters where state = 'replaying'`)).length === 0,
  )
}

it('a preview tells what each event would do, and which rows of journeys would change, and changes nothing', async () => {
  await using world = await createWorld('inbox')
  await using _worker = await openWorker(world)
  await world.rows(`alter table events add constraint no_poison check (reference_no <> 'poison')`)
  const refer = bodyOf('Finished Journey', 'end', { systemDecision: 'Refer' })
  await land(world, refer)
  const ids = await bury(world, [
    bodyOf('Manually Reviewed', 'review', { manualDecision: 'Approved', finalDecision: 'Approved' }),
    refer,
    bodyOf('Finished Journey', 'end', { systemDecision: 'Complete' }),
    bodyOf('Finished Step', 'poison', { referenceNo: 'poison' }),
    bodyOf('Finished Step', 'new', { journeyId: 'J-2' }),
  ])
  const tables = ['dead_letters', 'events', 'event_keys', 'journeys', 'inbox', 'operator_actions']
  const everything = () =>
    Promise.all(tables.map((table) => world.rows(`select * from ${table} order by 1, 2`)))
  const before = await everything()

  const filter = { ids }
  const preview = await previewLetters(world.db, { kind: 'replay', filter, sample: 9 })

  const outcomes = new Map(preview.letters.map(({ eventId, outcome }) => [eventId + outcome, true]))
  expect([...outcomes.keys()].sort()).toEqual(
    ['endconflict', 'endduplicate', 'newlanded', 'poisonfails', 'reviewlanded'].sort(),
  )
  expect(preview.letters.find(({ outcome }) => outcome === 'fails')?.error).toMatch(/no_poison/)
  expect(preview.journeys).toContainEqual({
    environment: 'live',
    journeyId: 'J-1',
    isNew: false,
    changes: expect.arrayContaining([
      { field: 'finalDecision', from: 'Refer', to: 'Approved' },
      { field: 'manualDecision', from: null, to: 'Approved' },
    ]),
  })
  expect(preview.journeys).toContainEqual(expect.objectContaining({ journeyId: 'J-2', isNew: true }))
  expect(await everything()).toEqual(before)
  expect((await previewLetters(world.db, { kind: 'replay', filter, sample: 2 })).letters).toHaveLength(2)
})

it('a preview of a discard or an undo tells which journeys need attention no more, or again', async () => {
  await using world = await createWorld('inbox')
  await using _worker = await openWorker(world)
  await land(world, bodyOf('Finished Journey', 'end', { systemDecision: 'Refer' }))
  await land(world, bodyOf('Finished Journey', 'end', { systemDecision: 'Complete' }))
  const filter = { reason: 'conflict' } as const
  const attention = { field: 'needsAttention', from: expect.any(String), to: null }

  const discard = await previewLetters(world.db, { kind: 'discard', filter, sample: 5 })
  expect(discard.letters).toMatchObject([{ outcome: 'discarded', error: null }])
  expect(discard.journeys).toMatchObject([{ journeyId: 'J-1', changes: [attention] }])

  await discardDeadLetter(world.db, { id: discard.letters[0]?.id as number, actor: 'test' })
  const undo = await previewLetters(world.db, { kind: 'undo', filter, sample: 5 })
  expect(undo.letters).toMatchObject([{ outcome: 'opened' }])
  expect(undo.journeys).toMatchObject([{ changes: [{ ...attention, from: null, to: expect.any(String) }] }])
})
