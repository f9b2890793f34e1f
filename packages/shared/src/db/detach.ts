import { pause } from '../runtime/every.ts'
import { isTooSlow } from './failure.ts'
import { listPartitions, type Partition, quoted } from './partitions.ts'
import type { Connection, Db } from './pool.ts'

/** No event lands in an old partition, so waiting for a lock on it holds up nobody. */
const LOCK_MS = 2_000
/** Without `concurrently` the lock is on `events`. While it is waited for, other statements wait behind it. */
const POOLED_LOCK_MS = 200
const POOLED_TRIES = 15
const POOLED_PAUSE_MS = 500

/** The comment on a partition that is about to go: by it the table is known when it is no partition any more. */
const markOf = (until: Date) => `Sluice drops this table: its events landed before ${until.toISOString()}`
const MARK = '^Sluice drops this table: its events landed before (\\S+)$'

/**
 * Records that the events of a partition and before are dropped. This comes before they go: a delivery that finds no
 * row any more must find the record, or it would land anew.
 */
export async function recordDropped(db: Db, { name, until }: Partition): Promise<void> {
  await db.transaction(
    async (connection) => {
      await connection.query(`comment on table ${quoted(name)} is '${markOf(until)}'`)
      await connection.query(
        'update retention set dropped_before = greatest(dropped_before, $1::timestamptz)',
        [until],
      )
    },
    { lockMs: LOCK_MS },
  )
}

/**
 * Detaches a partition while others read and write `events`, or finishes what was interrupted.
 *
 * @returns false if a transaction that has read `events` does not end; another call goes on. The events of the
 * partition may be out of sight already.
 */
export async function detachPartition(db: Db, { name, isDetaching }: Partition): Promise<boolean> {
  const statement = `alter table events detach partition ${quoted(name)}`
  const work = db.isPooled
    ? detachPooled(db, isDetaching ? `${statement} finalize` : statement)
    : detach(db, `${statement} ${isDetaching ? 'finalize' : 'concurrently'}`)
  return work.then(
    () => true,
    (error: unknown) => {
      if (isTooSlow(error)) return false
      throw error
    },
  )
}

/** On a connection of its own, since this cannot be part of a transaction. */
async function detach({ pool }: Db, statement: string): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query(`set lock_timeout = ${LOCK_MS}`)
    await client.query(statement)
  } finally {
    client.release(true)
  }
}

/** Behind a pooler each statement is a transaction. */
async function detachPooled(db: Db, statement: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await db.transaction(async (connection) => void (await connection.query(statement)), {
        lockMs: POOLED_LOCK_MS,
      })
    } catch (error) {
      if (!isTooSlow(error) || tries === POOLED_TRIES) throw error
      await pause(POOLED_PAUSE_MS)
    }
  }
}

/** A table that was a partition. */
export type Detached = { readonly name: string; readonly until: Date }

/**
 * The tables that were detached and must still be dropped. Each has the comment of `recordDropped` and the columns of
 * `events`, and all of its events landed before what is recorded as dropped.
 */
export async function listDetached(connection: Connection): Promise<Detached[]> {
  const columns = (table: string) =>
    `(select array_agg(attname || ' ' || atttypid order by attname) from pg_attribute
      where attrelid = ${table} and attnum > 0 and not attisdropped)`
  const { rows } = await connection.query<Detached>(
    `select name, until from (
      select c.relname as name, substring(obj_description(c.oid, 'pg_class') from $1)::timestamptz as until
      from pg_class c join pg_class e on e.oid = to_regclass('events') and e.relnamespace = c.relnamespace
      where c.relkind = 'r' and not c.relispartition and ${columns('c.oid')} = ${columns('e.oid')}) as tables
    where until <= (select dropped_before from retention) order by until`,
    [MARK],
  )
  return rows
}

/** The tables that still have events which no query on `events` finds: on their way out, before they are dropped. */
export async function tablesOutOfSight(connection: Connection): Promise<string[]> {
  const leaving = (await listPartitions(connection)).filter(({ isDetaching }) => isDetaching)
  return [...leaving, ...(await listDetached(connection))].map(({ name }) => name)
}

/** @returns false if somebody reads the table; another call goes on */
export async function dropDetached(db: Db, { name }: Detached): Promise<boolean> {
  return db
    .transaction((connection) => connection.query(`drop table ${quoted(name)}`), { lockMs: LOCK_MS })
    .then(
      () => true,
      (error: unknown) => {
        if (isTooSlow(error)) return false
        throw error
      },
    )
}
