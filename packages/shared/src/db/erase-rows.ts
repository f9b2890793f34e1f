import { byteaArray, textArray, uuidArray } from './array.ts'
import { tablesOutOfSight } from './detach.ts'
import { eraseMentions } from './erase-mentions.ts'
import {
  namesOf,
  OF_WANTED_BY_NAME,
  searchEvents,
  searchInbox,
  searchLetters,
  type Wanted,
} from './erase-search.ts'
import { columnsOf } from './journey-rows.ts'
import { quoted } from './partitions.ts'
import type { Connection } from './pool.ts'
import type { ErasureProgress } from './schema.ts'

// The planner would read whole partitions.
const BY_INDEX = `set local sluice.erasing = 'on'; set local enable_seqscan = off; set local enable_hashjoin = off;
  set local enable_mergejoin = off`
const MARK = `with known as materialized (
    select key from event_keys where key = any($1::uuid[]) order by key for no key update)
  update event_keys k set n = null, body = '' from known where k.key = known.key and (k.n is not null or k.body <> '')`
const KEEP_OUT = `insert into event_keys (key, landed_at, n, body) select key, now(), null, ''
  from unnest($1::uuid[]) as t(key) order by key on conflict do nothing`
const EVENTS = `events e
  using unnest($1::bytea[], $2::timestamptz[], $3::smallint[]) as place(key, landed_at, n)
  where e.processed_at = place.landed_at and e.n = place.n and e.event_key = place.key`
const OF_WANTED = `using unnest($1::text[], $2::text[]) as w(environment, journey_id)
  where j.environment = w.environment and j.journey_id = w.journey_id`

/**
 * Deletes all rows of what is wanted, in the caller's transaction. The keys stay, without a place. It locks in the
 * order of landing. What is gone already changes nothing.
 */
export async function eraseRows(connection: Connection, wanted: Wanted): Promise<ErasureProgress> {
  await connection.query(BY_INDEX)
  const events = await searchEvents(connection, wanted)
  const letters = await searchLetters(connection, wanted)
  const inbox = await searchInbox(connection, wanted)
  const marked = await connection.query(MARK, [uuidArray(sorted(events.map(({ eventKey }) => eventKey)))])
  const kept = await keepKeysOut(connection, keysOf([...letters, ...inbox]))

  const counts: Record<string, number> = {}
  const tables = new Set<string>()
  async function remove(store: string, text: string, values: unknown[]): Promise<void> {
    const { rows } = await connection.query<{ table: string }>(
      `delete from ${text} returning tableoid::regclass::text as "table"`,
      values,
    )
    for (const { table } of rows) tables.add(table)
    if (rows.length > 0) counts[store] = (counts[store] ?? 0) + rows.length
  }
  await remove('events', EVENTS, [
    byteaArray(events.map(({ eventKey }) => eventKey)),
    events.map(({ landedAt }) => landedAt),
    events.map(({ n }) => n),
  ])
  const names = namesOf(wanted)
  // Those that were partitions, and are about to be dropped.
  for (const name of await tablesOutOfSight(connection)) {
    await remove('events', `${quoted(name)} e where ${OF_WANTED_BY_NAME}`, names)
  }
  for (const table of ['refusals', 'former_references']) {
    await remove(table, `${table} e where ${OF_WANTED_BY_NAME}`, names)
  }
  await remove('dead_letters', 'dead_letters where id = any($1::bigint[])', [letters.map(({ id }) => id)])
  await remove('inbox', 'inbox where job_id = any($1::text[])', [textArray(inbox.map(({ jobId }) => jobId))])
  for (const table of ['lost_journeys', 'journeys']) {
    await remove(table, `${table} j ${OF_WANTED}`, columnsOf(wanted.journeys))
  }
  for (const [table, count] of await eraseMentions(connection, wanted)) {
    if (count === 0) continue
    tables.add(table)
    counts[table] = count
  }
  return { counts, tombstones: (marked.rowCount ?? 0) + kept, tables: [...tables] }
}

/** Keeps events out that have not landed, as if they had been erased. @returns how many */
export async function keepKeysOut(connection: Connection, keys: readonly Buffer[]): Promise<number> {
  const { rowCount } = await connection.query(KEEP_OUT, [uuidArray(sorted(keys))])
  return rowCount ?? 0
}

export function keysOf(found: readonly { readonly eventKey: Buffer | null }[]): Buffer[] {
  return found.flatMap(({ eventKey }) => eventKey ?? [])
}

function sorted(keys: readonly Buffer[]): Buffer[] {
  return [...new Map(keys.map((key) => [key.toString('latin1'), key])).values()].sort(Buffer.compare)
}
