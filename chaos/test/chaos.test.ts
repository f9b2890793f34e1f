import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { FAULTS, type Fault, findFaults } from '../faults/index.ts'
import { type RunOptions, runFault, type Sabotage } from '../run.ts'
import { isFailure } from '../table.ts'
import type { WorldOptions } from '../world.ts'

const LOAD = { rate: 60, minutes: 0.05 }

describe('under faults, Sluice', () => {
  it.each([
    ['F01', 1, 'loses nothing while Redis is killed'],
    ['F04', 2, 'loses nothing while Redis hangs'],
    ['F20', 3, 'loses nothing while Postgres is killed'],
    ['F32', 1, 'refuses what it cannot keep while both stores are away'],
    ['F34', 2, 'loses nothing while its workers are killed'],
  ])(
    '%s, seed %i: %s',
    async (id, seed) => {
      expect(await problems(fault(id), { ...LOAD, seed })).toEqual([])
    },
    120_000,
  )
})

describe('the check itself goes red', () => {
  it('when events have no unique key and a second delivery lands twice', async () => {
    const found = await problems(fault('F01'), {
      ...LOAD,
      seed: 1,
      sabotage: {
        // As if there were no key: a row that would conflict gets another key first.
        afterMigration: ({ db }) =>
          db.pool.query(`
            create function step_aside() returns trigger language plpgsql as $$ begin
              update events set event_key = sha256(event_key || random()::text::bytea) where event_key = new.event_key;
              return new;
            end $$;
            create trigger step_aside before insert on events for each row execute function step_aside()`),
      },
    })
    expect(found).toContainEqual(expect.stringMatching(/^landed twice: [1-9]/))
  }, 120_000)

  it('when an event that was acknowledged is gone', async () => {
    const found = await problems(fault('F01'), { ...LOAD, seed: 2, sabotage: losing('limit 1') })
    expect(found).toContain('acknowledged but lost: 1')
  }, 120_000)

  it('when a worker writes its dead letters in a failed handler, and is killed before one', async () => {
    const workers = fault('F34')
    const naive: Fault = {
      ...workers,
      world: { workerFile: 'chaos/test/failed-handler-worker.ts' },
      seconds: 3,
      inject: () => pause(3_000),
      effect: {},
    }
    const found = await problems(naive, { ...LOAD, seed: 1 })
    expect(found).toContainEqual(expect.stringMatching(/^acknowledged but lost: [1-9]/))
  }, 120_000)

  it('when the fault took no effect', async () => {
    // More than a slow machine causes without a fault.
    const harmless: Fault = { ...fault('F01'), inject: async () => {}, effect: { fellBack: 100_000 } }
    const found = await problems(harmless, { ...LOAD, seed: 3 })
    expect(found).toEqual([expect.stringMatching(/^it took no effect: fellBack \d+, not 100000$/)])
  }, 120_000)

  it.skipIf(fault('F07').impossible?.())(
    'when Redis syncs once a second and the power is cut (needs a C compiler)',
    async () => {
      const powerCut = fault('F07')
      const world: WorldOptions = { ...powerCut.world, redisSettings: { appendfsync: 'everysec' } }
      const found = await problems({ ...powerCut, world, effect: {} }, { ...LOAD, seed: 1 })
      expect(found).toContainEqual(expect.stringMatching(/^acknowledged but lost: [1-9]/))
    },
    120_000,
  )
})

it('every fault has its own id and counts that show its effect', () => {
  expect(new Set(FAULTS.map(({ id }) => id)).size).toBe(FAULTS.length)
  expect(FAULTS.filter(({ effect }) => Object.keys(effect).length === 0)).toEqual([])
})

function fault(id: string): Fault {
  const [found] = findFaults([id])
  if (!found) throw new Error(`no fault ${id}`)
  return found
}

async function problems(fault: Fault, options: RunOptions): Promise<readonly string[]> {
  const result = await runFault(fault, options)
  if (result.kind === 'impossible') throw new Error(result.reason)
  expect(isFailure(result)).toBe(result.problems.length > 0)
  return result.problems
}

/** Deletes events that have an id. */
function losing(which: string): Sabotage {
  return {
    beforeCheck: ({ db }) =>
      db.pool.query(`delete from events where event_key in (select event_key from events
        where event_id not like 'probe-%' and journey_id is null ${which})`),
  }
}
