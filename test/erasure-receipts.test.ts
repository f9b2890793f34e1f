import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { landJobs } from '@sluice/shared/db'
import {
  checkErasures,
  erase,
  listReceiptFiles,
  planErasure,
  type Receipt,
  readReceiptFiles,
  reapplyErasures,
  verifyErasures,
} from '@sluice/shared/operations'
import { makeRoot } from '@sluice/testkit/sandbox'
import { createWorld, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { found } from './support/stored-text.ts'

describe('receipts', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    for (const journeyId of ['one', 'two', 'three']) await eraseJourney(world, journeyId)
  })
  afterAll(() => stack.disposeAsync())

  it('are right as they are, and name nobody', async () => {
    expect(await problems(world)).toEqual([])
    const texts = await world.rows<{ text: string }>('select receipt::text as text from erasures')
    expect(texts.map(({ text }) => /one|two|three/.test(text.replace(/"\w+":/g, '')))).toEqual([
      false,
      false,
      false,
    ])
  })

  it.each([
    [
      'whose words were changed',
      `update erasures set receipt = receipt || '{"actor": "other"}' where n = 2`,
      /receipt of erasure 2 was changed/,
    ],
    [
      'that was taken away from its row',
      'update erasures set receipt = null where n = 2',
      /Erasure 2 has not ended/,
    ],
    ['that is missing in the middle', 'delete from erasures where n = 2', /missing before receipt 3/],
    ['that is missing at the end', 'delete from erasures where n = 3', /newest receipt is missing/],
    ['whose row was changed', `update erasures set subjects = '{}' where n = 1`, /Erasure 1 was changed/],
    [
      'that was copied',
      `update erasures a set receipt = b.receipt from erasures b where a.n = 2 and b.n = 1`,
      /Erasure 2 was changed/,
    ],
  ])('do not verify with one %s', async (_name, sql, expected) => {
    await using copy = await copyOf(world)
    await copy.rows(sql)
    expect((await problems(copy)).join('\n')).toMatch(expected)
  })

  it('do not hide what is stored again, although they do not have its name', async () => {
    await using copy = await copyOf(world)
    await land(copy, 'two')
    expect((await problems(copy)).join('\n')).toMatch(/found in journeys of what erasure 2 has erased/)
  })
})

it('after a restore, receipts that were kept elsewhere erase again, and continue the chain as they were', async () => {
  const receipts = makeRoot()
  await using world = await createWorld('inbox')
  for (const journeyId of ['kept', 'first', 'second']) await land(world, journeyId)
  await eraseJourney(world, 'first', receipts)
  await using restored = await copyOf(world)
  await eraseJourney(world, 'second', receipts)
  const files = await readReceiptFiles(await listReceiptFiles(receipts))
  expect(files.map(({ number }) => number)).toEqual([1, 2])
  expect(await problems(restored, files)).toEqual([expect.stringContaining('run `npx sluice erase reapply`')])
  expect(await found(restored.db, ['second'])).not.toEqual([])

  const stores = storesOf(restored)
  expect(await reapplyErasures(stores, files, { actor: 'me' })).toEqual({ erasures: [2], receipts: [2] })
  expect(await found(restored.db, ['second', 'first'])).toEqual([])
  expect(await found(restored.db, ['kept'])).not.toEqual([])
  expect(await problems(restored, files)).toEqual([])
  expect(await reapplyErasures(stores, files, { actor: 'me' })).toEqual({ erasures: [], receipts: [] })

  const forged = { ...(files[1] as Receipt), subjects: [] }
  await expect(reapplyErasures(stores, [forged], { actor: 'me' })).rejects.toThrow(/was changed/)
})

it('if the chain has gone on since a restore, a lost erasure is done again under a new receipt', async () => {
  const receipts = makeRoot()
  await using world = await createWorld('inbox')
  for (const journeyId of ['first', 'second']) await land(world, journeyId)
  await using restored = await copyOf(world)
  await eraseJourney(world, 'first', receipts)
  await eraseJourney(restored, 'second')
  const files = await readReceiptFiles(await listReceiptFiles(receipts))
  expect(await checkErasures(restored.db, receipts)).toMatchObject([{ level: 'fail' }])
  await reapplyErasures(storesOf(restored, receipts), files, { actor: 'me' })
  expect(await found(restored.db, ['first', 'second'])).toEqual([])
  // The folder has three: the lost one, the other one of the same number, and the new one of the lost erasure.
  const all = await readReceiptFiles(await listReceiptFiles(receipts))
  expect(all.map(({ number }) => number)).toEqual([1, 1, 2])
  expect(await problems(restored, all)).toEqual([])
  expect(await checkErasures(restored.db, receipts)).toMatchObject([{ level: 'ok' }])
  expect(await restored.rows('select n::int from erasures order by n')).toEqual([{ n: 1 }, { n: 2 }])
})

it('a receipt file that was changed makes doctor fail, and does not end it', async () => {
  const receipts = makeRoot()
  await using world = await createWorld('inbox')
  await eraseJourney(world, 'one', receipts)
  const [file = ''] = await listReceiptFiles(receipts)
  await writeFile(file, '{}')
  const [check] = await checkErasures(world.db, receipts)
  expect(check).toMatchObject({ level: 'fail', text: expect.stringContaining('is no receipt') })
})

const storesOf = (world: World, receipts?: string) => ({
  db: world.db,
  queue: undefined,
  location: undefined,
  copies: { receipts },
})

async function eraseJourney(world: World, journeyId: string, receipts?: string): Promise<Receipt> {
  const stores = storesOf(world, receipts)
  const plan = await planErasure(stores, { kind: 'journey', name: journeyId, environment: 'live' })
  return erase(stores, plan, { actor: 'me' })
}

async function problems(world: World, files: readonly Receipt[] = []): Promise<readonly string[]> {
  return (await verifyErasures(storesOf(world), files)).problems
}

/** Its events land as if nobody knew of erasures. */
async function land(world: World, journeyId: string): Promise<void> {
  const raw = JSON.stringify({ event: 'Finished Step', body: { eventId: randomUUID(), journeyId } })
  const envelope = { v: 1 as const, env: 'live', at: Date.now(), deliveryId: randomUUID(), raw }
  const job = { jobId: randomUUID(), envelope, via: 'inbox' as const, duplicates: 0, replayOf: null }
  await world.db.landingTransaction((connection, now) => landJobs(connection, [job], { now }))
}

/** Another database with the same rows. */
function copyOf(world: World): Promise<World> {
  return createWorld('inbox', { template: world })
}
