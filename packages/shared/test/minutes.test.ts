import { createWorld, eventually } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { recordMinutes } from '../src/db/index.ts'
import { createLog } from '../src/runtime/index.ts'

it('each minute has what was counted in it, also those of an outage; and the last event of any ingest', async () => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await createWorld('inbox'))
  await world.rows(`insert into minutes values (now() - interval '3 days', 'an earlier ingest', 'ingest',
    '{"last": {"live": 1000, "sandbox": 2000}}')`)
  let [total, asked, minute] = [3, 0, Math.floor(Date.now() / 60_000)]
  stack.use(
    recordMinutes({
      db: world.db,
      process: 'me',
      role: 'ingest',
      async totals() {
        asked++
        return { 'answers live accepted': total, 'answers live test': 0 }
      },
      last: () => ({ live: 5000 }),
      unsafe: () => [],
      log: createLog('test', 'silent'),
      now: () => minute * 60_000 + 1,
      everyMs: 20,
    }),
  )
  const written = async () => {
    const rows = await world.rows<{ counts: unknown }>(
      `select counters->'counts' as counts from minutes where process = 'me' order by minute`,
    )
    return rows.map(({ counts }) => counts)
  }
  const counted = (...counts: number[]) => counts.map((n) => ({ 'answers live accepted': n }))
  const isWritten = (...counts: number[]) =>
    eventually(async () => JSON.stringify(await written()) === JSON.stringify(counted(...counts)))
  /** Until it has counted once more. */
  async function count(): Promise<void> {
    const before = asked
    await eventually(() => asked >= before + 2)
  }

  await isWritten(3)
  total = 5
  await isWritten(5)
  await world.rows('alter table minutes rename to away')
  for (const next of [9, 10]) {
    minute++
    total = next
    await count()
  }
  await world.rows('alter table away rename to minutes')
  await isWritten(5, 4, 1)
  expect(
    await world.rows(`select distinct counters->'last' as last from minutes where process = 'me'`),
  ).toEqual([{ last: { live: 5000, sandbox: 2000 } }])
})
