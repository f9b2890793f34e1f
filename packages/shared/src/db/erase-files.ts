import { pause } from '../runtime/every.ts'
import { withoutLimits } from './client.ts'
import { isLocked } from './failure.ts'
import type { Connection, Db } from './pool.ts'

/** What became of the files of one table. */
export type TableFiles = {
  /** `pg_statistic` has values of sampled rows. Only a superuser may have it rewritten. */
  readonly table: string
  /**
   * - `rewritten`: they have nothing of the deleted rows.
   * - `vacuumed`: it is too large; the rows are gone, and their bytes stay in free space until that is used again.
   * - `busy`: the same, since others held the table whenever it was tried.
   * - `kept`: a transaction that began before, or a pooler, does not let Postgres remove the rows.
   */
  readonly outcome: 'rewritten' | 'vacuumed' | 'busy' | 'kept'
}

/** Larger tables are locked for long while they are rewritten. */
const REWRITE_BYTES = 64 * 1024 * 1024

export type PurgeOptions = {
  /** How long to wait for transactions that still see the rows. */
  readonly limitMs: number
  /** Tables of any size are rewritten. */
  readonly everySize: boolean
}

/** While a statement waits for a lock, the statements of others wait behind it. */
const LOCK_MS = 300
const LOCK_TRIES = 20
const LOOK_EVERY_MS = 100

/**
 * Has Postgres remove deleted rows from the files of these tables. Small tables are written anew, since a vacuum leaves
 * the bytes of a row in its page. Statistics are made anew as well: they hold values of columns.
 */
export async function purgeTables(
  { pool, isPooled }: Db,
  tables: readonly string[],
  { limitMs, everySize }: PurgeOptions,
): Promise<TableFiles[]> {
  const kept = tables.map((table) => ({ table, outcome: 'kept' as const }))
  if (tables.length === 0 || isPooled) return kept
  const client = await pool.connect()
  try {
    await withoutLimits(client)
    await client.query(`set lock_timeout = ${LOCK_MS}`)
    if (!(await snapshotsEnded(client, limitMs))) return kept
    const purged: TableFiles[] = []
    const largest = everySize ? Number.POSITIVE_INFINITY : REWRITE_BYTES
    for (const table of tables) purged.push({ table, outcome: await purge(client, table, largest) })
    // Only an operator makes statistics of the whole table.
    const { rows } = await client.query(`select from pg_stats where tablename = 'events' limit 1`)
    if (rows.length > 0) await tried(client, 'analyze events')
    return [...purged, { table: STATISTICS, outcome: await purgeStatistics(client) }]
  } finally {
    client.release(true)
  }
}

async function purge(client: Connection, table: string, largest: number): Promise<TableFiles['outcome']> {
  const { rows } = await client.query('select pg_total_relation_size(to_regclass($1))::float8 as bytes', [
    table,
  ])
  const bytes: number | null = rows[0]?.bytes
  // Retention has dropped it meanwhile.
  if (bytes === null) return 'rewritten'
  const isSmall = bytes <= largest
  if (isSmall && (await tried(client, `vacuum (full, analyze) ${table}`))) return 'rewritten'
  if (!(await tried(client, `vacuum (analyze) ${table}`))) return 'kept'
  return isSmall ? 'busy' : 'vacuumed'
}

/** It has samples of the tables' values. */
export const STATISTICS = 'pg_statistic'

/** For want of the right, Postgres skips the table and only warns. */
async function purgeStatistics(client: Connection): Promise<TableFiles['outcome']> {
  const file = async () =>
    (await client.query('select pg_relation_filenode($1::regclass) as file', [STATISTICS])).rows[0]?.file
  const before = await file()
  await tried(client, `vacuum (full) ${STATISTICS}`).catch(() => false)
  return (await file()) === before ? 'vacuumed' : 'rewritten'
}

/** @returns false if somebody else holds the table */
async function tried(client: Connection, statement: string): Promise<boolean> {
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    try {
      await client.query(statement)
      return true
    } catch (error) {
      if (!isLocked(error)) throw error
      await pause(LOOK_EVERY_MS)
    }
  }
  return false
}

/**
 * Whoever may still see what was deleted: a reader, a standby with `hot_standby_feedback`, a slot, a prepared
 * transaction. The sender to a standby belongs to no database.
 */
const SEES_MORE = `select exists (
    select backend_xmin as xmin from pg_stat_activity where (datname = current_database() or datname is null)
      and pid <> pg_backend_pid() and age(backend_xmin) >= age($1::xid)
    union all select xmin from pg_replication_slots where age(xmin) >= age($1::xid)
    union all select transaction from pg_prepared_xacts where age(transaction) >= age($1::xid)) as sees`

async function snapshotsEnded(client: Connection, limitMs: number): Promise<boolean> {
  const { rows } = await client.query('select pg_current_xact_id()::xid::text as xid')
  for (const limit = Date.now() + limitMs; ; await pause(LOOK_EVERY_MS)) {
    const { rows: seen } = await client.query(SEES_MORE, [rows[0]?.xid])
    if (!seen[0]?.sees) return true
    if (Date.now() > limit) return false
  }
}
