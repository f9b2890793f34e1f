import * as z from 'zod'
import { errorCode } from '../runtime/errors.ts'
import { pause } from '../runtime/every.ts'
import type { Connection, Db } from './pool.ts'

const PERIODS = ['day', 'week', 'month'] as const
/** How long a partition of `events` is. Weeks begin on Monday, and all periods at midnight UTC. */
export type Period = (typeof PERIODS)[number]

/** The setting RETENTION_PARTITION. */
export const retentionPartition = z.enum(PERIODS, 'is none of day, week, month').default('month')

/** A partition of `events`. */
export type Partition = {
  readonly name: string
  /** Events that landed since then, and before `until`; null for the table of the time before there were partitions. */
  readonly since: Date | null
  readonly until: Date
  /** Detaching it was interrupted, and must be finished. */
  readonly isDetaching: boolean
}

const DAY_MS = 86_400_000
/** Partitions are there for this time ahead, and for one period at least, so that nothing depends on one process. */
const AHEAD_MS = 7 * DAY_MS

/** Where a partition ends that somebody has made without an end. */
const LATEST = '9999-12-31T00:00:00Z'

/** @returns in the order of time; a DEFAULT partition is none of ours */
export async function listPartitions(connection: Connection): Promise<Partition[]> {
  const { rows } = await connection.query<Partition>(
    `select name, nullif(since, '-infinity') as since, until, "isDetaching" from (
      select c.relname as name, coalesce(substring(bound from 'FROM \\(''(.*?)''\\)'), '-infinity')::timestamptz as since,
        least(substring(bound from 'TO \\(''(.*?)''\\)')::timestamptz, '${LATEST}') as until, i.inhdetachpending as "isDetaching"
      from pg_inherits i join pg_class c on c.oid = i.inhrelid, lateral pg_get_expr(c.relpartbound, c.oid) as bound
      where i.inhparent = to_regclass('events') and bound <> 'DEFAULT') as partitions order by until`,
  )
  return rows
}

/** The name of a table for SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The name of a table as Postgres writes it: in quotes only if it needs them. */
export function nameInSql(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoted(name)
}

/**
 * Makes the partitions for now and the time ahead that are missing. A new partition is made as a table and then
 * attached, since that lets others write to `events` meanwhile.
 *
 * @returns the names of the new partitions
 */
export async function makePartitions(connection: Connection, period: Period): Promise<string[]> {
  const { rows } = await connection.query<{ now: Date }>('select now()')
  const now = rows[0]?.now as Date
  const present = await listPartitions(connection)
  const horizon = Math.max(now.getTime() + AHEAD_MS, endOf(period, now).getTime() + 1)
  const made: string[] = []
  for (let since = startOf(period, now); since.getTime() < horizon; ) {
    const covering = present.find((one) => (one.since ?? since) <= since && one.until > since)
    const until = covering?.until ?? startOfNext(present, since, endOf(period, since))
    if (!covering && until > now) made.push(await makePartition(connection, since, until))
    since = until
  }
  return made
}

/** Where a partition that begins at a time must end. */
function startOfNext(present: readonly Partition[], after: Date, otherwise: Date): Date {
  const next = present.find(({ since }) => since && since > after)?.since
  return next && next < otherwise ? next : otherwise
}

async function makePartition(connection: Connection, since: Date, until: Date): Promise<string> {
  const name = `events_${since.toISOString().slice(0, 10).replaceAll('-', '')}`
  const [from, to] = [since, until].map((time) => `'${time.toISOString()}'`)
  await connection.query(
    `create table ${name} (like events including defaults including storage including compression,
      check (processed_at >= ${from} and processed_at < ${to}));
    alter table events attach partition ${name} for values from (${from}) to (${to});
    alter table ${name} drop constraint ${name}_processed_at_check`,
  )
  return name
}

const LOCK_MS = 1_000
const TRIES = 5
/** Another transaction is in the way: it holds a lock, or makes the same partition. */
const IN_THE_WAY = new Set(['55P03', '40P01', '42P07', '42710', '23505', '42P17'])

/** `makePartitions` beside everything else that goes on. Any number of processes may do it at once. */
export async function ensurePartitions(db: Db, period: Period): Promise<string[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await db.transaction((connection) => makePartitions(connection, period), { lockMs: LOCK_MS })
    } catch (error) {
      if (!IN_THE_WAY.has(errorCode(error) ?? '') || tries === TRIES) throw error
      await pause(LOCK_MS * Math.random())
    }
  }
}

function startOf(period: Period, time: Date): Date {
  const [year, month, day] = [time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate()]
  if (period === 'month') return new Date(Date.UTC(year, month))
  const weekday = (time.getUTCDay() + 6) % 7
  return new Date(Date.UTC(year, month, period === 'week' ? day - weekday : day))
}

/** The end of the period that a time is in. */
export function endOf(period: Period, time: Date): Date {
  const start = startOf(period, time)
  if (period === 'month') return new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1))
  return new Date(start.getTime() + (period === 'week' ? 7 : 1) * DAY_MS)
}
