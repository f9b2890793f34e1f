import * as z from 'zod'
import type { Connection } from './pool.ts'

export const PERIODS = ['day', 'week', 'month'] as const
/** How long a partition of `events` is. Weeks begin on Monday, and all periods at midnight UTC. */
export type Period = (typeof PERIODS)[number]

/** The setting RETENTION_PARTITION. */
export const retentionPartition = z.enum(PERIODS).default('month')

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

/** @returns in the order of time */
export async function listPartitions(connection: Connection): Promise<Partition[]> {
  const { rows } = await connection.query<Partition>(
    `select name, nullif(since, '-infinity') as since, until, "isDetaching" from (
      select c.relname as name, coalesce(substring(bound from 'FROM \\(''(.*?)''\\)'), '-infinity')::timestamptz as since,
        substring(bound from 'TO \\(''(.*?)''\\)')::timestamptz as until, i.inhdetachpending as "isDetaching"
      from pg_inherits i join pg_class c on c.oid = i.inhrelid, lateral pg_get_expr(c.relpartbound, c.oid) as bound
      where i.inhparent = to_regclass('events')) as partitions order by until`,
  )
  return rows
}

/**
 * Makes the partitions for now and the time ahead that are missing. Any number of processes may do it at once. A new
 * partition is made as a table and then attached, since that lets others write to `events` meanwhile.
 *
 * @returns the names of the new partitions
 */
export async function makePartitions(connection: Connection, period: Period): Promise<string[]> {
  const made: string[] = []
  const { rows } = await connection.query<{ now: Date }>('select now()')
  const now = rows[0]?.now as Date
  const last = (await listPartitions(connection)).at(-1)
  let since = startOf(period, now)
  if (last && last.until > since) since = last.until
  const horizon = Math.max(now.getTime() + AHEAD_MS, endOf(period, now).getTime() + 1)
  while (since.getTime() < horizon) {
    const until = endOf(period, since)
    const name = `events_${since.toISOString().slice(0, 10).replaceAll('-', '')}`
    const bounds = [since, until].map((time) => `'${time.toISOString()}'`)
    await connection.query(
      `create table ${name} (like events including defaults including storage including compression,
        check (processed_at >= ${bounds[0]} and processed_at < ${bounds[1]}));
      alter table events attach partition ${name} for values from (${bounds[0]}) to (${bounds[1]});
      alter table ${name} drop constraint ${name}_processed_at_check`,
    )
    made.push(name)
    since = until
  }
  return made
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
