import { MOST_COUNTED } from './dead-letter-queries.ts'
import type { Db } from './pool.ts'

/** Open dead letters that failed alike. */
export type LetterGroup = {
  readonly fingerprint: string
  readonly count: number
  /** Different journeys that they belong to. */
  readonly journeys: number
  readonly firstFailedAt: Date
  readonly lastFailedAt: Date
  /** How many failed last in each of the last 24 hours, the current one last. */
  readonly hours: readonly number[]
  /** Of the newest one. */
  readonly example: {
    readonly id: number
    readonly environment: string | null
    readonly event: string | null
    readonly reason: string
    readonly errorClass: string
    readonly errorMessage: string
  }
}

export type LetterGroups = {
  /** The largest first. */
  readonly groups: readonly LetterGroup[]
  /** How many groups there are. */
  readonly total: number
  readonly letters: number
  /** There are more open letters than are counted: each count is of the newest ones. */
  readonly isAtLeast: boolean
}

const HOURS = 24

/** An act of a person on one letter, without an operation. */
export type SingleAct = {
  readonly letter: number
  readonly fingerprint: string
  readonly at: Date
  readonly actor: string
  readonly action: 'replay' | 'discard' | 'undo'
  readonly reason: string | null
}

const ACTS_READ = 500

/** What persons did last to single letters that failed alike, the newest first. The last 500 acts are looked at. */
export async function singleActsOn(
  { pool }: Pick<Db, 'pool'>,
  fingerprints: readonly string[],
): Promise<SingleAct[]> {
  const { rows } = await pool.query<SingleAct>(
    `select d.id::float8 as letter, d.fingerprint, a.at, a.actor, a.action, a.reason from (
      select * from operator_actions where operation_id is null order by id desc limit ${ACTS_READ}) as a
    join dead_letters d on d.id = substring(a.target from '^dead_letter ([0-9]{1,15})$')::bigint
    where a.action in ('replay', 'discard', 'undo') and d.fingerprint = any($1::text[]) order by a.id desc`,
    [fingerprints],
  )
  return rows
}

/** The newest of the letters that are too many to be counted. */
const BOUND = `select id from dead_letters where state = 'open' order by id desc offset $1 limit 1`

/**
 * The letters that are counted, read from the index alone, which has the journeys of a group beside each other. Without
 * a bound nothing is said of `id`: the planner would take it for far fewer letters.
 */
const counted = (isBounded: boolean) =>
  `from dead_letters where state = 'open' and ${isBounded ? 'id > $2' : '$2::bigint is null'}`

const groups = (isBounded: boolean) => `
with of_journey as (
  select fingerprint, journey_id is not null as named, count(*) as letters, max(id) as newest,
    min(first_failed_at) as first, max(last_failed_at) as last
  ${counted(isBounded)} group by fingerprint, journey_id, environment),
groups as (
  select fingerprint, sum(letters)::float8 as count, count(*) filter (where named)::float8 as journeys,
    max(newest) as newest, min(first) as first, max(last) as last
  from of_journey group by fingerprint),
hours as (
  select fingerprint, array_agg(hour) as hours, array_agg(letters) as letters from (
    select fingerprint, floor(date_part('epoch', now() - last_failed_at) / 3600)::int as hour, count(*)::int as letters
    ${counted(isBounded)} and last_failed_at > now() - interval '${HOURS} hours' group by 1, 2) as each
  group by fingerprint)
select g.fingerprint, g.count, g.journeys, g.first as "firstFailedAt", g.last as "lastFailedAt",
  h.hours as ago, h.letters, g.newest::float8 as newest, (select count(*)::float8 from groups) as total,
  (select sum(count) from groups) as open,
  d.environment, d.event, d.reason, d.error_class as "errorClass", d.error_message as "errorMessage"
from groups g join dead_letters d on d.id = g.newest left join hours h on h.fingerprint = g.fingerprint
order by g.count desc, g.fingerprint limit $1`

/** Groups open dead letters by their fingerprints. @param options.limit groups at most */
export async function groupDeadLetters(
  { pool }: Pick<Db, 'pool'>,
  { limit, most = MOST_COUNTED }: { limit: number; most?: number },
): Promise<LetterGroups> {
  const { rows: bounds } = await pool.query<{ id: string }>(BOUND, [most])
  const bound = bounds[0]?.id
  const isAtLeast = bound !== undefined
  const { rows } = await pool.query(groups(isAtLeast), [limit, bound ?? null])
  const { total = 0, open = 0 } = rows[0] ?? {}
  return { groups: rows.map(groupOf), total, letters: open, isAtLeast }
}

// biome-ignore lint/suspicious/noExplicitAny: a row as the statement makes it.
function groupOf(row: any): LetterGroup {
  const { fingerprint, count, journeys, firstFailedAt, lastFailedAt } = row
  const hours = Array.from({ length: HOURS }, () => 0)
  for (const [index, ago] of (row.ago ?? []).entries()) {
    // The clock of another server may have been ahead.
    hours[HOURS - 1 - Math.max(0, ago)] = row.letters[index]
  }
  const { newest: id, environment, event, reason, errorClass, errorMessage } = row
  return {
    fingerprint,
    count,
    journeys,
    firstFailedAt,
    lastFailedAt,
    hours,
    example: { id, environment, event, reason, errorClass, errorMessage },
  }
}
