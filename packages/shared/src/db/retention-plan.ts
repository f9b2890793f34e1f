import { listPartitions, type Partition } from './partitions.ts'
import type { Connection, Db } from './pool.ts'
import type { RetentionState, Terms } from './retention-state.ts'

const DAY_MS = 86_400_000
/** SQL: dead letters that have ended, and last failed before a time. */
export const ENDED_BEFORE = `state in ('resolved', 'discarded') and last_failed_at < $1`

/** A partition with its size, for people. */
export type SizedPartition = Partition & {
  /** As Postgres has last counted or estimated it; null if it has not. */
  readonly rows: number | null
  /** With its indexes. */
  readonly bytes: number
  /** When its newest event has been kept for the term; null without a term. */
  readonly goesAt: Date | null
}

/** What is older than its term. Estimates, but for the dead letters. */
export type Overdue = {
  readonly partitions: number
  /** Null if Postgres has not estimated all of them yet. */
  readonly rows: number | null
  readonly bytes: number
  /** When the oldest and the newest of these events landed; null if there are none. */
  readonly oldest: Date | null
  readonly newest: Date | null
  readonly keys: number
  readonly deadLetters: number
}

/** The time before which something is older than its term; null keeps for ever. */
export function limitOf(term: number | null, now: Date): Date | null {
  return term === null ? null : new Date(now.getTime() - term * DAY_MS)
}

/** The partitions whose events are all older than the term, the oldest first. */
export function overduePartitions<Some extends Partition>(
  partitions: readonly Some[],
  term: number | null,
  now: Date,
): Some[] {
  const limit = limitOf(term, now)
  return limit ? partitions.filter(({ until }) => until <= limit) : []
}

/** For how long events are kept beyond the term that was accepted, ms. */
export function behindMs({ accepted, now }: RetentionState, partitions: readonly Partition[]): number {
  const limit = limitOf(accepted?.events ?? null, now)
  const oldest = partitions[0]
  return limit && oldest ? Math.max(0, limit.getTime() - oldest.until.getTime()) : 0
}

export async function sizePartitions(connection: Connection, term: number | null): Promise<SizedPartition[]> {
  const { rows } = await connection.query<{ name: string; rows: number | null; bytes: number }>(
    `select c.relname as name, nullif(c.reltuples, -1)::float8 as rows, pg_total_relation_size(c.oid)::float8 as bytes
      from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = to_regclass('events')`,
  )
  const sizes = new Map(rows.map((row) => [row.name, row]))
  return (await listPartitions(connection)).map((partition) => ({
    ...partition,
    rows: sizes.get(partition.name)?.rows ?? null,
    bytes: sizes.get(partition.name)?.bytes ?? 0,
    goesAt: term === null ? null : new Date(partition.until.getTime() + term * DAY_MS),
  }))
}

/** @param partitions of `sizePartitions` */
export async function findOverdue(
  { pool }: Db,
  terms: Terms,
  partitions: readonly SizedPartition[],
  now: Date,
): Promise<Overdue> {
  const going = overduePartitions(partitions, terms.events, now)
  const bound = going.at(-1)?.until
  const extent = bound
    ? (
        await pool.query(
          'select min(processed_at) as oldest, max(processed_at) as newest from events where processed_at < $1',
          [bound],
        )
      ).rows[0]
    : { oldest: null, newest: null }
  return {
    partitions: going.length,
    rows: going.some(({ rows }) => rows === null)
      ? null
      : going.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
    bytes: going.reduce((sum, { bytes }) => sum + bytes, 0),
    ...extent,
    keys: await estimateKeys(pool, limitOf(terms.keys, now)),
    deadLetters: await countLetters(pool, limitOf(terms.deadLetters, now)),
  }
}

/** As the planner estimates it: counting would read a large table. */
async function estimateKeys(connection: Connection, before: Date | null): Promise<number> {
  if (!before) return 0
  const { rows } = await connection.query(
    `explain (format json) select from event_keys where landed_at < '${before.toISOString()}'`,
  )
  return rows[0]['QUERY PLAN'][0].Plan['Plan Rows']
}

async function countLetters(connection: Connection, before: Date | null): Promise<number> {
  if (!before) return 0
  const { rows } = await connection.query(
    `select count(*)::int as letters from dead_letters where ${ENDED_BEFORE}`,
    [before],
  )
  return rows[0].letters
}
