import { expect, it } from 'vitest'
import { namesIn } from '../src/idwise/index.ts'

const namesOf = (text: string) => namesIn(text).names.map(({ name, form }) => [name, form])
const UUID = '8a119b9e-16bc-4732-8f7b-7676d015b0dc'
const JOURNEY = '6925c1e7a4b0f83d5e9172ac'

it('a ticket names ids and reference numbers, whatever stands around them', () => {
  const ticket = `Hi, since 2026-11-03T10:11:12Z the customer (reference no. CUST-0048213; ref: 7f2c9a) cannot get in.
    Journey ${JOURNEY}, event ${UUID}. Our log from 10.0.0.1 says 503 after 700ms. Reference "A B 1" too.`
  expect(namesOf(ticket)).toEqual([
    ['CUST-0048213', 'reference number'],
    ['7f2c9a', 'reference number'],
    [JOURNEY, 'journey'],
    [UUID, 'event id'],
    ['A B 1', 'reference number'],
  ])
})

it('JSON, log lines, keys and job ids are read', () => {
  expect(namesOf(`{"eventId":"${UUID}","referenceNo": "840-2026-0117-23","journeyId":"${JOURNEY}"}`)).toEqual(
    [
      [UUID, 'event id'],
      ['840-2026-0117-23', 'reference number'],
      [JOURNEY, 'journey'],
    ],
  )
  const [key, job] = ['ab'.repeat(32), `e-${'c'.repeat(64)}-r2`]
  expect(namesOf(`event_id=evt_77 key=${key} job=${job}`)).toEqual([
    ['evt_77', 'event id'],
    [key, 'event key'],
    [job, 'job'],
  ])
})

it('a word that merely may be a name is marked, and sentences have none', () => {
  expect(namesIn('The journey was finished, the reference is missing.').names).toEqual([])
  expect(namesIn('please look at AB-99').names).toEqual([{ name: 'AB-99', form: 'any', isLikely: false }])
})

it('at most 200 names are read, and a text made to be slow is read at once', () => {
  const ids = Array.from({ length: 201 }, (_, n) => `reference: R-${n}`).join('\n')
  expect(namesIn(ids)).toMatchObject({ isCut: true, names: { length: 200 } })
  for (const text of ['reference ', 'ref: "', 'a1.', '"1', 'e-1', '-']) {
    expect(namesIn(text.repeat(10_000)).names.length).toBeLessThanOrEqual(200)
  }
  expect(namesIn(`reference${' '.repeat(100_000)}R-1`).names).toEqual([])
})
