import { createAudit } from '@sluice/shared/db'
import { type EventRow, type Report, readLedger, verify } from '@sluice/simulator'
import type { Load } from './load.ts'
import type { World } from './world.ts'

export type Checked = {
  readonly report: Report
  /** I5: what came without credentials has changed something, or was let in. */
  readonly strangers: readonly string[]
  readonly viaRedis: number
  readonly viaInbox: number
  readonly duplicates: number
}

/** Compares the sender's ledger with the database, after everything has been drained. */
export async function check(world: World, load: Load, probes: readonly string[]): Promise<Checked> {
  const audit = createAudit(world.db)
  const own = new Set(probes)
  const report = await verify({
    ledger: readLedger(load.ledger),
    events: without(audit.events(), own),
    deadLetters: audit.deadLetters(),
    journeys: audit.journeys(),
  })
  return {
    report,
    strangers: await strangersIn(world, load),
    ...(await ways(world)),
  }
}

async function* without(
  rows: AsyncIterable<EventRow>,
  eventIds: ReadonlySet<string>,
): AsyncGenerator<EventRow> {
  for await (const row of rows) if (!eventIds.has(row.event_id ?? '')) yield row
}

async function strangersIn({ db }: World, { strangers }: Load): Promise<string[]> {
  const { rows } = await db.pool.query<{ event_id: string }>(
    `select event_id from events where event_id like 'stranger-%'
      union all select event_id from dead_letters where event_id like 'stranger-%'
      union all select job_id from inbox where envelope like '%stranger-%'`,
  )
  // A door that is shut may also answer 502 or nothing; what it must not say is that all is well.
  const letIn = [...strangers.statuses].filter((status) => status < 300)
  return [...rows.map(({ event_id }) => event_id), ...letIn.map((status) => `answered ${status}`)]
}

async function ways({ db }: World): Promise<Pick<Checked, 'viaRedis' | 'viaInbox' | 'duplicates'>> {
  const { rows } = await db.pool.query(`select count(*) filter (where via = 'redis')::int as "viaRedis",
    count(*) filter (where via = 'inbox')::int as "viaInbox", coalesce(sum(duplicates), 0)::int as duplicates from events`)
  return rows[0]
}
