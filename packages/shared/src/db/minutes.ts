import * as z from 'zod'
import { CHECK_ALERTS } from '../runtime/check.ts'
import type { Connection } from './pool.ts'
import type { Process } from './processes.ts'

const numbers = z.record(z.string(), z.number()).catch({})

/** What a process has counted in one minute: the column `minutes.counters`. */
const countersSchema = z.object({
  /** How much each metric grew, by its name and labels (`Totals`). */
  counts: numbers,
  /** The last accepted event of each environment, whichever ingest had it and however long ago, ms since 1970. */
  last: numbers,
  /** When the process last had no store for an event, ms since 1970; null if it always had one. */
  lastRefused: z.number().nullable().catch(null),
  /** What its checks say of stores that may lose events. */
  unsafe: z.array(z.string()).catch([]),
  /** What its checks say of which people are told. */
  findings: z
    .array(z.object({ alert: z.enum(CHECK_ALERTS), name: z.string(), text: z.string(), advice: z.string() }))
    .catch([]),
  /** The kinds of events of which Postgres refuses every one, so that they wait. */
  rejected: z.array(z.object({ event: z.string().nullable(), error: z.string() })).catch([]),
})

/** `event`: its name, null if it is of any name. `error`: in the words of Postgres, about a made-up event. */
export type RejectedKind = z.infer<typeof countersSchema>['rejected'][number]
export type MinuteCounters = z.infer<typeof countersSchema>

export type MinuteRow = {
  /** The start of the minute. */
  readonly minute: Date
  readonly process: string
  readonly role: Process['app']
  readonly counters: MinuteCounters
}

/** Writes rows anew that are there already: a process counts up through its minute. */
export async function writeMinutes(connection: Connection, rows: readonly MinuteRow[]): Promise<void> {
  await connection.query(
    `insert into minutes (minute, process, role, counters)
      select minute, process, role, counters from jsonb_to_recordset($1)
        as t(minute timestamptz, process text, role text, counters jsonb)
      on conflict (minute, process) do update set counters = excluded.counters`,
    [JSON.stringify(rows)],
  )
}

/** The rows of all processes from a time on, and the newest row of an ingest, however old it is. */
export async function readMinutes(connection: Connection, since: Date): Promise<MinuteRow[]> {
  const { rows } = await connection.query(
    `select minute, process, role, counters from minutes where minute >= $1
      union all (select minute, process, role, counters from minutes
        where role = 'ingest' and minute < $1 order by minute desc limit 1)`,
    [since],
  )
  return rows.map(({ counters, ...row }) => ({ ...row, counters: countersSchema.parse(counters ?? {}) }))
}

/** What ingests have answered within a span of time. */
export type SpanRow = { readonly at: Date; readonly accepted: number; readonly refused: number }

/**
 * The spans in which ingests have answered requests, in order.
 *
 * @param of.refused the outcomes that count as such
 */
export async function readSpans(
  connection: Connection,
  { since, spanMs, refused }: { since: Date; spanMs: number; refused: readonly string[] },
): Promise<SpanRow[]> {
  const { rows } = await connection.query<SpanRow>(
    `select to_timestamp(floor(date_part('epoch', minute) / $2::float8) * $2) as at,
      coalesce(sum(n) filter (where outcome = 'accepted'), 0) as accepted,
      coalesce(sum(n) filter (where outcome = any($3::text[])), 0) as refused
    from minutes, lateral (select split_part(key, ' ', 3) as outcome, value::float8 as n
      from jsonb_each_text(counters->'counts') where key like 'answers %') as answers
    where minute >= $1 and role = 'ingest' group by 1 order by 1`,
    [since, spanMs / 1_000, refused],
  )
  return rows
}

// One after the other by the primary key: of a join, the planner reads the whole table.
const IN_WEEK = (week: number) => `select distinct minute, split_part(key, ' ', 2) as environment
  from minutes, jsonb_object_keys(counters->'counts') as key
  where minute >= $1::timestamptz - ${week} * interval '7 days'
    and minute < $1::timestamptz - ${week} * interval '7 days' + interval '1 hour'
    and role = 'ingest' and key like 'answers % accepted'`
const SAME_HOURS = `${[1, 2, 3, 4].map(IN_WEEK).join(' union all ')} order by minute`

/** The minutes of the same hour and weekday in the last four weeks in which an environment had an accepted event. */
export async function readSameHours(
  connection: Connection,
  hour: Date,
): Promise<{ minute: Date; environment: string }[]> {
  return (await connection.query(SAME_HOURS, [hour])).rows
}
