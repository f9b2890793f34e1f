import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator'
import { drizzle } from 'drizzle-orm/node-postgres'
import type pg from 'pg'
import { UserError } from '../runtime/errors.ts'
import { pause } from '../runtime/every.ts'
import { failpoint } from '../runtime/failpoint.ts'
import { release } from '../runtime/release.ts'
import { withoutLimits } from './client.ts'
import { isLocked } from './failure.ts'
import { endOf, makePartitions, type Period } from './partitions.ts'
import type { Connection, Db } from './pool.ts'
import {
  advanceKeys,
  boundEvents,
  type EventsBound,
  mustUpgradeEvents,
  oldWorkers,
  prepareEvents,
} from './upgrade-events.ts'

const FOLDER = fileURLToPath(new URL('./migrations', import.meta.url))
const TABLE = 'sluice_migrations'
/** A number that nothing else locks. One migration runs at a time, and the others wait. */
const LOCK = 7_583_221_904
/** How long the migration waits for the lock on a table, and how often it tries. */
const LOCK_MS = 500
const LOCK_TRIES = 60
const LOCK_PAUSE_MS = 1_000
const OLD_PAUSE_MS = 250
const OTHER_PAUSE_MS = 1_000

/**
 * - `missing`, `older`: run `sluice migrate`.
 * - `newer`: a later Sluice has migrated. This build goes on, because a migration keeps the columns of the release
 *   before.
 */
export type SchemaState = 'current' | 'missing' | 'older' | 'newer'

export type MigrateOptions = {
  /** How long the partitions of `events` are. */
  readonly period?: Period
  /** Waits for workers of the release before to end. Otherwise they are an error. */
  readonly wait?: boolean
  /** Is called with each step of a migration that takes long. */
  readonly report?: (line: string) => void
}

/**
 * Brings the schema to this build's version. Several processes may call it at the same time.
 *
 * @returns the state before
 * @throws UserError if the events of an earlier release cannot be partitioned yet; another call goes on
 */
export async function migrateSchema(db: Db, options: MigrateOptions = {}): Promise<SchemaState> {
  const { period = 'month' } = options
  const mustUpgrade = await mustUpgradeEvents(db.pool)
  if (mustUpgrade) await inOneTransaction(db, (client) => migrateTo(client, LAST_OF_BEFORE))
  const bound = mustUpgrade ? await upgradeEvents(db, period, options) : undefined
  for (let tries = 1; ; tries++) {
    try {
      return await migrateOnce(db, period, bound)
    } catch (error) {
      // Another transaction holds a table. While this waits for the lock, others wait behind it: so it waits briefly.
      if (!isLocked(error) || tries === LOCK_TRIES) throw error
      await pause(LOCK_PAUSE_MS)
    }
  }
}

/** The last migration of the release before: it has the tables that `upgradeEvents` uses. */
const LAST_OF_BEFORE = 1795848876558

/** Runs the migrations up to the one of a time, in the caller's transaction, and commits it. */
async function migrateTo(client: pg.PoolClient, last: number): Promise<void> {
  // The migrator of Drizzle, which would run all of them.
  const { dialect, session } = drizzle(client) as unknown as {
    session: unknown
    dialect: { migrate(migrations: MigrationMeta[], session: unknown, config: object): Promise<void> }
  }
  const migrations = readMigrationFiles({ migrationsFolder: FOLDER })
  const wanted = migrations.filter(({ folderMillis }) => folderMillis <= last)
  await dialect.migrate(wanted, session, { migrationsSchema: 'public', migrationsTable: TABLE })
}

async function inOneTransaction<T>(db: Db, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await db.pool.connect()
  try {
    await withoutLimits(client)
    // A migration may take as long as it needs. The lock belongs to the transaction, because behind a pooler a lock
    // of the session would be lost. Drizzle's `begin` runs inside of this transaction, and its `commit` ends it.
    await client.query('begin; set local statement_timeout = 0; set local lock_timeout = 0')
    await client.query('select pg_advisory_xact_lock($1)', [LOCK])
    return await work(client)
  } finally {
    client.release(true)
  }
}

function migrateOnce(db: Db, period: Period, bound: EventsBound | undefined): Promise<SchemaState> {
  return inOneTransaction(db, async (client) => {
    const before = await schemaState(client)
    if (before === 'newer') return before
    await client.query(`set local lock_timeout = ${LOCK_MS}`)
    if (bound && before !== 'current') await takeOver(client, bound)
    failpoint('migrate-in-middle')
    await migrateTo(client, Number.POSITIVE_INFINITY)
    await client.query('begin')
    await client.query('select pg_advisory_xact_lock($1)', [LOCK])
    await makePartitions(client, period)
    await client.query('commit')
    return before
  })
}

/** Does what takes long before the migration, and waits until no worker of the release before runs. */
async function upgradeEvents(
  db: Db,
  period: Period,
  { wait = false, report = () => {} }: MigrateOptions,
): Promise<EventsBound> {
  for (let first = true; !(await prepareEvents(db, report)); first = false) {
    if (first) report('waiting for another `npx sluice migrate`, which is preparing the events')
    await pause(OTHER_PAUSE_MS)
  }
  failpoint('migrate-prepared')
  for (let first = true; ; first = false) {
    const old = await oldWorkers(db.pool, release())
    if (old.length === 0) break
    if (!wait) throw new UserError(`${OLD_WORKERS} (${old.join(', ')}). ${STOP_THEM}`)
    if (first) report(`waiting for workers of another release to end: ${old.join(', ')}`)
    await pause(OLD_PAUSE_MS)
    await advanceKeys(db, () => {})
  }
  const { rows } = await db.pool.query<{ now: Date }>('select now()')
  const bound = await boundEvents(db, endOf(period, rows[0]?.now as Date), report)
  failpoint('migrate-bounded')
  return bound
}

const OLD_WORKERS = 'All is prepared, but workers of another release run and go on landing events'
const STOP_THEM =
  'Stop them, and run `npx sluice migrate` again, or let `npx sluice migrate --wait` wait. Events wait in the queue meanwhile.'

/** Hands what was prepared to the migration, and makes sure that no worker has come meanwhile. */
async function takeOver(client: Connection, { keysUntil, until }: EventsBound): Promise<void> {
  await client.query(`set local lock_timeout = ${LOCK_MS}`)
  await client.query('lock table events, journeys, dead_letters in access exclusive mode')
  const old = await oldWorkers(client, release())
  if (old.length > 0) throw new UserError(`${OLD_WORKERS} (${old.join(', ')}). ${STOP_THEM}`)
  await client.query(
    `select set_config('sluice.keys_until', $1, true), set_config('sluice.events_before', $2, true)`,
    [keysUntil.toISOString(), until.toISOString()],
  )
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
