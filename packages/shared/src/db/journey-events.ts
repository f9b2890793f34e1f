import {
  FACTS,
  type JourneyEvent,
  OPEN_CONFLICT,
  type StoredJourneyEvent,
  withAllFacts,
} from '../journey/event.ts'
import { columnsOf, type JourneyName, nameOf, OF_WANTED, WANTED } from './journey-rows.ts'
import type { Connection } from './pool.ts'

/** SQL: the facts of a row `e` of `events`, by their names. */
const FACT_COLUMNS = FACTS.map(({ name, sql }) => `${sql} as "${name}"`).join(', ')
const ms = (time: string) => `round(date_part('epoch', ${time}) * 1000)`

/** SQL: a row `e` of `events` as a `JourneyEvent`. */
export const JOURNEY_EVENT = `${FACT_COLUMNS},
  ${ms('e.received_at')} as "firstAt", ${ms('e.received_at')} as "lastAt", 1 as count`

// Postgres coalesces the events of a journey with very many, so that it stays cheap to fold.
const COALESCED = `select e.environment, e.journey_id as "journeyId", ${FACT_COLUMNS},
  ${ms('min(e.received_at)')} as "firstAt", ${ms('max(e.received_at)')} as "lastAt", count(*)::int as count`
const BY_FACTS = `group by 1, 2, ${FACTS.map((_, index) => index + 3).join(', ')}`

// An event lands after it was received, so the journey's first event bounds the partitions that are read. Those before
// `base_until` are in the base.
const SINCE = `coalesce(j.base_until, case when $3::boolean then j.first_event_at - interval '1 minute' end, '-infinity')`
const OF_JOURNEYS = `from ${WANTED} join journeys j on ${OF_WANTED}, lateral (
  select * from events e where e.journey_id = wanted.journey_id and e.environment = wanted.environment
    and e.processed_at >= ${SINCE} offset 0) as e`
const READ = `select e.environment, e.journey_id as "journeyId", ${JOURNEY_EVENT} ${OF_JOURNEYS}`
const READ_LONG = `${COALESCED} ${OF_JOURNEYS} ${BY_FACTS}`
// With two bounds, the planner takes the time for so narrow that it reads the index on the time for each journey. The
// sum hides the lower one from it.
const READ_UNTIL = `${COALESCED} from ${WANTED} join journeys j on ${OF_WANTED}, lateral (
  select * from events e where e.journey_id = wanted.journey_id and e.environment = wanted.environment
    and e.processed_at + interval '0' >= coalesce(j.base_until, '-infinity') and e.processed_at < $3 offset 0) as e ${BY_FACTS}`
const READ_BASES = `select wanted.environment, wanted.journey_id as "journeyId", j.base,
    exists (select from dead_letters d where d.environment = wanted.environment and d.journey_id = wanted.journey_id
      and ${OPEN_CONFLICT}) as "hasConflict"
  from ${WANTED} join journeys j on ${OF_WANTED} where j.base is not null`
/** With more events than this, they are read coalesced: for each, that costs Postgres more and the worker less. */
const LONG = 50

const READ_EARLIER = `${COALESCED}
from (select * from events where environment = $1 and journey_id = $2 and processed_at >= $4
  order by received_at desc, event_key desc offset $3) e
${BY_FACTS}`

/** The events of a journey that landed since a time, before its `skip` newest ones, coalesced. */
export async function readEarlierEvents(
  connection: Connection,
  { environment, journeyId }: { environment: string; journeyId: string },
  { skip, since }: { skip: number; since: Date },
): Promise<JourneyEvent[]> {
  const { rows } = await connection.query<JourneyEvent>({
    name: 'read_earlier_events',
    text: READ_EARLIER,
    values: [environment, journeyId, skip, since],
  })
  return rows
}

/**
 * Reads the events of journeys whose rows the caller has locked, coalesced or not. Events that may be gone come from
 * the journey's base.
 *
 * @param journeys each with about how many events it has
 * @param isBounded looks only at events since the journey's first one, as its row has it
 * @returns the events by the journey's `nameOf`
 */
export async function readEvents(
  connection: Connection,
  journeys: readonly (JourneyName & { readonly events: number })[],
  isBounded: boolean,
): Promise<Map<string, JourneyEvent[]>> {
  if (journeys.length === 0) return new Map()
  const lists = await Promise.all([
    readBases(connection, journeys),
    ...([false, true] as const).map(async (isLong) => {
      const names = journeys.filter(({ events }) => events > LONG === isLong)
      if (names.length === 0) return []
      const { rows } = await connection.query<JourneyEvent & JourneyName>({
        name: isLong ? 'read_long_journeys' : 'read_journeys',
        text: isLong ? READ_LONG : READ,
        values: [...columnsOf(names), isBounded],
      })
      return rows
    }),
  ])
  return Map.groupBy(lists.flat(), nameOf)
}

/** The events of journeys that landed before a time and are not in their bases, coalesced. */
export async function readEventsUntil(
  connection: Connection,
  journeys: readonly JourneyName[],
  until: Date,
): Promise<(JourneyEvent & JourneyName)[]> {
  const { rows } = await connection.query<JourneyEvent & JourneyName>({
    name: 'read_events_until',
    text: READ_UNTIL,
    values: [...columnsOf(journeys), until],
  })
  return rows
}

type Base = JourneyName & { readonly base: readonly StoredJourneyEvent[]; readonly hasConflict: boolean }

/** What the bases of journeys have. A conflict about a dropped event counts as long as one of the journey is open. */
export async function readBases(
  connection: Connection,
  journeys: readonly JourneyName[],
): Promise<(JourneyEvent & JourneyName)[]> {
  const { rows } = await connection.query<Base>({
    name: 'read_bases',
    text: READ_BASES,
    values: columnsOf(journeys),
  })
  return rows.flatMap(({ base, hasConflict, ...name }) =>
    base.map((stored) => {
      const event = withAllFacts(stored)
      return { ...event, ...name, conflict: event.conflict && hasConflict }
    }),
  )
}
