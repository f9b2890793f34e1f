import { createWorld } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { readState } from '../src/operations/index.ts'

type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: Plan[]
}

it('the state is read from few pages, whatever the age of the minutes and the number of dead letters', async () => {
  await using world = await createWorld('inbox')
  await world.rows(`insert into minutes
    select date_trunc('minute', now()) - m * interval '1 minute', 'p', 'ingest',
      '{"counts": {"answers live accepted": 9, "enqueued redis": 9}}' from generate_series(0, 35 * 1440) as m`)
  await world.rows(`insert into dead_letters (job_id, reason, error_class, error_message, fingerprint, attempts, raw,
      envelope, last_failed_at)
    select n::text, 'conflict', 'E', 'm', 'group ' || n % 7, 1, repeat('x', 600)::bytea, '', now() - n * interval '1 s'
    from generate_series(1, 30000) as n`)
  await world.rows('vacuum analyze')

  const queries: [text: string, values: unknown[]][] = []
  const pool = new Proxy(world.db.pool, {
    get: (target, name) =>
      name === 'query'
        ? (text: string, values: unknown[] = []) => {
            queries.push([text, values])
            return target.query(text, values)
          }
        : Reflect.get(target, name),
  })
  const { figures } = await readState({ db: { ...world.db, pool }, queue: undefined })
  expect(figures.recorded?.deadLetters).toMatchObject({ open: { count: 10_000, isMore: true }, groups: 7 })
  let pages = 0
  for (const [text, values] of queries) {
    const { rows } = await world.db.pool.query(`explain (analyze, buffers, format json) ${text}`, values)
    const plan: Plan = rows[0]['QUERY PLAN'][0].Plan
    pages += plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
    const read = nodesOf(plan).filter(({ 'Node Type': type }) => type === 'Seq Scan')
    expect(read.map((node) => node['Relation Name'])).not.toContain('minutes')
    expect(read.map((node) => node['Relation Name'])).not.toContain('dead_letters')
  }
  expect(pages).toBeLessThan(600)
})

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
