import { readOperation, recordAction } from '@sluice/shared/db'
import { erase, letterFilter, planErasure, startOperation, verifyErasures } from '@sluice/shared/operations'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { found } from './support/stored-text.ts'

const ADA = { journeyId: 'journey-of-ada-7f3a', referenceNo: 'reference-of-ada-91' }
const BOB = { journeyId: 'journey-of-bob-55', referenceNo: 'reference-of-bob-2' }

it('an erasure blanks what operators have typed in about the person, and ends an operation on its letters', async () => {
  await using world = await createWorld('inbox')
  const stores = { db: world.db, queue: undefined, location: undefined }
  await bury(world, [finishedJourney(ADA).bytes, finishedJourney(BOB).bytes])
  await world.rows(`update dead_letters set earlier_failures =
    jsonb_build_array(jsonb_build_object('errorMessage', 'no ' || reference_no))`)
  const start = async (filter: object, reason: string) => {
    const asked = {
      sample: null,
      rate: null,
      stopAfter: null,
      expected: 1,
      actor: 'me',
      kind: 'replay',
    } as const
    const outcome = await startOperation(world.db, { ...asked, filter: letterFilter.parse(filter), reason })
    if (outcome.kind !== 'started') throw new Error(outcome.kind)
    return outcome.id
  }
  const byJourney = await start({ journeyId: ADA.journeyId }, 'fixed')
  const byReference = await start({ referenceNo: ADA.referenceNo, environment: 'live' }, 'fixed')
  const ofBob = await start({ journeyId: BOB.journeyId }, `as for ${ADA.referenceNo}: fixed`)
  await recordAction(world.db.pool, {
    actor: 'me',
    action: 'reland',
    target: 'x',
    reason: `(${ADA.journeyId})`,
  })

  const plan = await planErasure(stores, { kind: 'reference', name: ADA.referenceNo })
  const receipt = await erase(stores, plan, { actor: 'me' })

  expect(receipt.counts).toMatchObject({ dead_letters: 1, operations: 3, operator_actions: 2 })
  expect(await found(world.db, Object.values(ADA))).toEqual([])
  for (const id of [byJourney, byReference]) {
    expect(await readOperation(world.db, id)).toMatchObject({
      state: 'cancelled',
      filter: undefined,
      words: '(erased)',
    })
  }
  const bobs = { state: 'running', filter: { journeyId: BOB.journeyId }, reason: '(erased)' }
  expect(await readOperation(world.db, ofBob)).toMatchObject(bobs)
  expect(await verifyErasures(stores, [])).toMatchObject({ problems: [] })

  // As a restored backup would have it.
  await world.rows('update operations set filter = $1 where id = $2', [ADA, byJourney])
  expect((await verifyErasures(stores, [])).problems).toMatchObject([expect.stringMatching(/operations/)])
})
