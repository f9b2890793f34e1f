import { addressOf, runIngest } from '@sluice/testkit/process'
import { createWorld } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { CREDENTIALS } from './corpus.ts'
import { fuzz } from './http-fuzz.ts'

const COUNT = Number(process.env.FUZZ_REQUESTS ?? 3_000)
const SEED = Number(process.env.FUZZ_SEED ?? 1)

it('answers mutated requests as documented, stores nothing without credentials, and serves others meanwhile', async () => {
  await using world = await createWorld('inbox')
  await using ingest = runIngest({ ...world.env, ...CREDENTIALS })

  const report = await fuzz({
    url: await addressOf(ingest),
    pid: ingest.pid,
    db: world.db,
    seed: SEED,
    count: COUNT,
    connections: 16,
    limitMs: 120_000,
  })

  expect(report.findings).toEqual([])
  expect(report.sent).toBe(COUNT)
  // A run without these has tested little.
  for (const status of [200, 400, 401, 404, 405, 413]) expect(report.answers[status]).toBeGreaterThan(0)
  expect(report.accepted).toBeGreaterThan(COUNT / 10)
}, 180_000)
