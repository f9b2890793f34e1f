import { float8Array, uuidArray } from './array.ts'
import type { Connection } from './pool.ts'

/** An event of an erased journey or reference number. */
export type KeptOut = { readonly eventKey: Buffer; readonly erasure: number }

// Rows of `erasures` are locked in order, since two batches may hold events of the same ones.
const KEEP_OUT = `
with came as (select * from unnest($1::uuid[], $2::float8[]) as t(key, erasure)),
fresh as (
  insert into event_keys (key, landed_at, n, body) select key, now(), null, '' from came order by key
  on conflict do nothing returning key),
late as (
  select erasure, count(*) as events from came where key in (select key from fresh) group by erasure),
locked as materialized (
  select n from erasures where n in (select erasure from late) order by n for no key update)
update erasures e set late = e.late + late.events, last_late_at = now() from locked join late on late.erasure = locked.n
where e.n = locked.n`

/**
 * Lands events as keys alone, so that nothing of them is stored and none lands later. Those that had no key are counted
 * on their erasure.
 */
export async function keepOut(connection: Connection, events: readonly KeptOut[]): Promise<void> {
  if (events.length === 0) return
  const byKey = new Map(events.map((event) => [event.eventKey.toString('latin1'), event]))
  const sorted = [...byKey.values()].sort((a, b) => Buffer.compare(a.eventKey, b.eventKey))
  await connection.query({
    name: 'keep_out',
    text: KEEP_OUT,
    values: [
      uuidArray(sorted.map(({ eventKey }) => eventKey)),
      float8Array(sorted.map(({ erasure }) => erasure)),
    ],
  })
}
