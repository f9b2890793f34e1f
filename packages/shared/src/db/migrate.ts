import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { failpoint } from '../runtime/failpoint.ts'
import type { Connection, Db } from './pool.ts'

const FOLDER = fileURLToPath(new URL('./migrations', import.meta.url))
const TABLE = 'sluice_migrations'
/** A number that nothing else locks. One migration runs at a time, and the others wait. */
const LOCK = 7_583_221_904

/**
 * - `missing`, `older`: run `sluice migrate`.
 * - `newer`: a later Sluice has migrated. This build goes on, because a migration keeps the columns of the release
 *   before.
 */
export type SchemaState = 'current' | 'missing' | 'older' | 'newer'

/**
 * Brings the schema to this build's version. Several processes may call it at the same time.
 *
 * @returns the state before
 */
export async function migrateSchema(db: Db): Promise<SchemaState> {
  const client = await db.pool.connect()
  try {
    // A migration may take as long as it needs. The lock belongs to the transaction, because behind a pooler a lock
    // of the session would be lost. Drizzle's `begin` runs inside of this transaction, and its `commit` ends it.
    await client.query('begin; set local statement_timeout = 0; set local lock_timeout = 0')
    await client.query('select pg_advisory_xact_lock($1)', [LOCK])
    const before = await schemaState(client)
    failpoint('migrate-in-middle')
    await migrate(drizzle(client), {
      migrationsFolder: FOLDER,
      migrationsSchema: 'public',
      migrationsTable: TABLE,
    })
    await client.query('commit')
    return before
  } finally {
    client.release(true)
  }
}

export async function schemaState(connection: Connection): Promise<SchemaState> {
  const known = await connection.query('select to_regclass($1) is not null as present', [`public.${TABLE}`])
  if (!known.rows[0]?.present) return 'missing'
  const { rows } = await connection.query(`select max(created_at)::float8 as latest from public.${TABLE}`)
  const latest: number | null = rows[0]?.latest ?? null
  if (latest === null) return 'missing'
  const wanted = latestMigration()
  return latest === wanted ? 'current' : latest < wanted ? 'older' : 'newer'
}

function latestMigration(): number {
  const journal = JSON.parse(readFileSync(`${FOLDER}/meta/_journal.json`, 'utf8')) as {
    entries: { when: number }[]
  }
  return Math.max(...journal.entries.map((entry) => entry.when))
}
