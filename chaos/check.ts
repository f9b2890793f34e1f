import type { Report } from '@sluice/simulator'
import { compareWithLedger } from '@sluice/testkit/simulation'
import type { Load } from './load.ts'
import type { World } from './world.ts'

export type Checked = {
  readonly report: Report
  /** Requests without credentials that changed something, or were answered with success. */
  readonly strangers: readonly string[]
  readonly viaRedis: number
  readonly viaInbox: number
  readonly duplicates: number
}

/** Compares the ledger with the database, after everything has been drained. @param probes events of `recovery.ts` */
export async function check(world: World, load: Load, probes: readonly string[]): Promise<Checked> {
  return {
    report: await compareWithLedger(world.db, load.ledger, new Set(probes)),
    strangers: await strangersIn(world, load),
    ...(await ways(world)),
  }
}

async function strangersIn({ db }: World, { strangers }: Load): Promise<string[]> {
  const { rows } = await db.pool.query<{ event_id: string }>(
    `select event_id from events where event_id like 'stranger-%'
      union all select event_id from dead_letters where event_id like 'stranger-%'
      union all select job_id from inbox where envelope like '%stranger-%'`,
  )
  // A refusal may also be a 502 or no answer. Only a success would be wrong.
  const letIn = [...strangers.statuses].filter((status) => status < 300)
  return [...rows.map(({ event_id }) => event_id), ...letIn.map((status) => `answered ${status}`)]
}

async function ways({ db }: World): Promise<Pick<Checked, 'viaRedis' | 'viaInbox' | 'duplicates'>> {
  const { rows } = await db.pool.query(`select count(*) filter (where via = 'redis')::int as "viaRedis",
    count(*) filter (where via = 'inbox')::int as "viaInbox", coalesce(sum(duplicates), 0)::int as duplicates from events`)
  return rows[0]
}
