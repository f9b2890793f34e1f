import { createWorld, WAYS, type Way, type World } from '@sluice/testkit/world'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Act, sequences } from './acts.ts'
import { POISONS } from './bodies.ts'
import { compare } from './compare.ts'
import { createModel, type Model } from './model.ts'
import { perform, settle } from './perform.ts'
import { createSystem } from './system.ts'

/** FUZZ_RUNS sequences, from FUZZ_SEED on. A failure prints its seed and the shortest sequence that fails. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 10)
const SEED = Number(process.env.FUZZ_SEED ?? 1)
const LIMIT_MS = 240_000 + RUNS * 3_000

describe.each(WAYS)('after any sequence of acts, by the %s,', (way) => {
  it(
    'every delivery has ended as the model says',
    async () => {
      await using world = await createWorld(way)
      await refuse(world)
      const seen = new Set<string>()
      await fc.assert(
        fc.asyncProperty(sequences(way), async (acts) => note(seen, await run(world, way, acts))),
        { numRuns: RUNS, seed: SEED, interruptAfterTimeLimit: LIMIT_MS },
      )
      if (RUNS >= 50) expect([...seen].sort()).toEqual(expect.arrayContaining(EXPECTED_TO_BE_SEEN))
    },
    LIMIT_MS + 60_000,
  )
})

async function run(world: World, way: Way, acts: readonly Act[]): Promise<Model> {
  await using system = await createSystem(world)
  await world.rows('insert into refused select unnest($1::text[])', [POISONS])
  const model = createModel(way)
  try {
    for (const act of acts) await perform(act, system, model)
    await system.startWorker()
    await settle(system, model)
    await system.stopWorker()
    await compare(system, model)
    return model
  } catch (error) {
    // After a stall of this machine the counts may differ, so the run does not count.
    fc.pre(!(await system.tookTheOtherWay()))
    throw error
  }
}

/** The database refuses the references on a list, from which acts remove some. */
async function refuse(world: World): Promise<void> {
  await world.rows('create table refused (reference text primary key)')
  await world.rows(`create function is_refused(text) returns boolean stable language sql
    return exists (select from refused where reference = $1)`)
  await world.rows('alter table events add constraint no_poison check (not is_refused(reference_no))')
}

// Without each of these, the runs would have tested little.
const EXPECTED_TO_BE_SEEN = [
  'conflict discarded',
  'conflict open',
  'duplicates',
  'landed',
  'rejected_by_database discarded',
  'rejected_by_database open',
  'rejected_by_database resolved',
]

function note(seen: Set<string>, { entries }: Model): void {
  for (const { landed, duplicates, letter } of entries) {
    if (landed) seen.add('landed')
    if (duplicates.min > 0) seen.add('duplicates')
    if (letter) seen.add(`${letter.reasons[0]} ${letter.state}`)
  }
}
