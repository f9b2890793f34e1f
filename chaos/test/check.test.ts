import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Fault } from '../faults/index.ts'
import { fault, LOAD, problems } from './problems.ts'

describe('the check itself goes red', { timeout: 120_000 }, () => {
  it('when events have no unique key and a second delivery lands twice', async () => {
    const found = await problems(fault('F01'), {
      ...LOAD,
      seed: 1,
      sabotage: {
        // As if there were no key: one that would conflict is deleted first.
        afterMigration: ({ db }) =>
          db.pool.query(`
            create function step_aside() returns trigger language plpgsql as $$ begin
              delete from event_keys where key = new.key;
              return new;
            end $$;
            create trigger step_aside before insert on event_keys for each row execute function step_aside()`),
      },
    })
    expect(found).toContainEqual(expect.stringMatching(/^landed twice: [1-9]/))
  })

  it('when an acknowledged event is gone, and when the fault took no effect', async () => {
    // More than a slow machine causes without a fault.
    const harmless: Fault = { ...fault('F01'), inject: async () => {}, effect: { fellBack: 100_000 } }
    const found = await problems(harmless, {
      ...LOAD,
      seed: 2,
      sabotage: {
        beforeCheck: ({ db }) =>
          db.pool.query(`delete from events where event_key in (select event_key from events
            where event_id not like 'probe-%' and journey_id is null limit 1)`),
      },
    })
    expect(found).toEqual([
      expect.stringMatching(/^it took no effect: fellBack \d+, not 100000$/),
      'acknowledged but lost: 1',
      expect.stringMatching(/^missing: /),
    ])
  })

  it('when a worker writes its dead letters in a failed handler, and is killed before one', async () => {
    const naive: Fault = {
      ...fault('F34'),
      world: { workerFile: 'chaos/test/failed-handler-worker.ts' },
      seconds: 3,
      inject: () => pause(3_000),
      effect: {},
    }
    const found = await problems(naive, { ...LOAD, seed: 1 })
    expect(found).toContainEqual(expect.stringMatching(/^acknowledged but lost: [1-9]/))
  })

  it.skipIf(fault('F07').impossible?.())(
    'when Redis syncs once a second and the power is cut (needs a C compiler)',
    async () => {
      const powerCut = fault('F07')
      const world = { ...powerCut.world, redisSettings: { appendfsync: 'everysec' } }
      const found = await problems({ ...powerCut, world, effect: {} }, { ...LOAD, seed: 1 })
      expect(found).toContainEqual(expect.stringMatching(/^acknowledged but lost: [1-9]/))
    },
  )
})
