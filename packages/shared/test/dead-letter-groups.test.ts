import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { countDeadLetters, groupDeadLetters, listDeadLetters } from '../src/db/index.ts'
import { findGroups, letterFilter, startOperation } from '../src/operations/index.ts'

const bodies = (count: number, fields: Record<string, unknown> = {}) =>
  Array.from({ length: count }, () => finishedJourney(fields).bytes)

it('open dead letters are grouped by what they failed with, with journeys and hours', async () => {
  await using world = await createWorld('inbox')
  await bury(world, bodies(3, { journeyId: 'J-1' }), { message: 'value "abc" is too long', code: '22001' })
  await bury(world, bodies(2), { message: 'value "xyz" is too long', code: '22001' })
  const [other, ...discarded] = await bury(world, bodies(3), { reason: 'attempts_exhausted', message: 'odd' })
  await world.rows(`update dead_letters set state = 'discarded' where id = any($1)`, [discarded])
  await world.rows(`update dead_letters set last_failed_at = now() - interval '150 minutes' where id = $1`, [
    other,
  ])

  const found = await findGroups(world.db)

  expect(found).toMatchObject({ total: 2, letters: 6, isAtLeast: false })
  expect(found.groups).toMatchObject([
    {
      count: 5,
      journeys: 3,
      example: {
        reason: 'rejected_by_database',
        errorClass: 'DatabaseError 22001',
        event: 'Finished Journey',
      },
      runbook: expect.stringContaining('Postgres refuses the row'),
      past: [],
    },
    { count: 1, journeys: 1, example: { id: other } },
  ])
  expect(found.groups[0]?.hours).toEqual([...Array.from({ length: 23 }, () => 0), 5])
  expect(found.groups[1]?.hours.indexOf(1)).toBe(21)
  expect(await groupDeadLetters(world.db, { limit: 1, most: 4 })).toMatchObject({
    letters: 4,
    isAtLeast: true,
    total: 2,
  })
})

it('another constraint, column, table or length of a type is another group, and another value is not', async () => {
  await using world = await createWorld('inbox')
  await world.rows(`create table odd (a varchar(5), b varchar(9), n numeric(5, 2), m numeric(7, 2), c text, d text,
    at date, primary key (at, a), constraint k1 check (b <> 'one'), constraint k2 check (b <> 'two')) partition by list (at)`)
  await world.rows('alter table odd alter c set not null, alter d set not null')
  for (const day of ['20260101', '20260102'])
    await world.rows(`create table events_${day} partition of odd for values in ('${day}')`)
  const insert = (row: Record<string, unknown>) => {
    const columns = { a: 'x', b: 'x', c: 'x', d: 'x', at: '20260101', ...row }
    const values = Object.values(columns).map((value) => (value === null ? 'null' : `'${value}'`))
    return `insert into odd (${Object.keys(columns)}) values (${values})`
  }
  const alike = [
    [insert({ b: 'one' }), insert({ b: 'one', at: '20260102' })],
    [insert({ b: 'two' })],
    [insert({ a: 'longer' }), insert({ a: 'longer still' })],
    [insert({ b: 'longer still' })],
    [insert({ n: 1000 }), insert({ n: 70_000 })],
    [insert({ m: 100_000 })],
    [insert({ c: null }), insert({ c: null, at: '20260102' })],
    [insert({ d: null })],
    [`select 'abc'::int`, `select 'x y'::int`],
    ['select missing from odd'],
    ['select other from odd'],
    ['CUST-5677', '840-2026-17', 'B2B_77.1'].map(
      (number) => `do $$ begin raise 'reference ${number} is locked'; end $$`,
    ),
  ]
  for (const statements of alike) {
    for (const statement of statements) {
      const error = await world.rows(statement).catch((thrown: unknown) => thrown)
      await bury(world, bodies(1), { error })
    }
  }

  const { groups } = await findGroups(world.db)

  expect(groups.map(({ count }) => count)).toEqual([3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1])
})

it('a group shows what was done about the same before, and why', async () => {
  await using world = await createWorld('inbox')
  await bury(world, bodies(2))
  const [{ fingerprint } = { fingerprint: '' }] = (await findGroups(world.db)).groups
  const asked = { sample: null, rate: null, stopAfter: null, reason: 'raised the column limit', actor: 'Ada' }
  await startOperation(world.db, { ...asked, kind: 'replay', filter: { fingerprint }, expected: 2 })
  await world.rows(`update operations set state = 'done', ended_at = now(), landed = 2`)

  expect((await findGroups(world.db)).groups[0]?.past).toMatchObject([
    { actor: 'Ada', reason: 'raised the column limit', landed: 2, expected: 2 },
  ])
})

it('dead letters are listed by every filter, page by page, with how many there are', async () => {
  await using world = await createWorld('inbox')
  const since = new Date(Date.now() - 60_000).toISOString()
  const ids = await bury(world, bodies(5, { journeyId: 'J-1', referenceNo: 'R-1' }))
  await bury(world, bodies(2), { reason: 'unreadable', environment: 'sandbox' })
  const [{ fingerprint } = { fingerprint: '' }] = (await findGroups(world.db)).groups
  const newest = ids.toSorted((a, b) => b - a)
  for (const filter of [
    { fingerprint },
    { reason: 'rejected_by_database' as const },
    { environment: 'live' },
    { journeyId: 'J-1' },
    { referenceNo: 'R-1', failedSince: since },
    { ids },
  ]) {
    const which = { state: 'open' as const, filter: letterFilter.parse(filter) }
    const first = await listDeadLetters(world.db, { ...which, limit: 3 })
    const second = await listDeadLetters(world.db, { ...which, limit: 3, before: first.at(-1)?.id })
    expect([...first, ...second].map(({ id }) => id)).toEqual(newest)
    expect(await countDeadLetters(world.db, which)).toEqual({ count: 5, isAtLeast: false })
  }
  const before = { state: 'open' as const, filter: { failedBefore: since } }
  expect(await countDeadLetters(world.db, before)).toEqual({ count: 0, isAtLeast: false })
  expect(await countDeadLetters(world.db, {}, 6)).toEqual({ count: 6, isAtLeast: true })
})

it.each([
  { fingerprint: 'x' },
  { reason: 'because' },
  { ids: [] },
  { ids: [0.5] },
  { journeyId: 'a\0b' },
  { failedSince: 'yesterday' },
  { failedSince: '0000-01-01T00:00:00Z' },
  { state: 'open' },
])('%j is no filter', (filter) => {
  expect(letterFilter.safeParse(filter).success).toBe(false)
})
