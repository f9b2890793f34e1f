import { FACTS, type JourneyEvent } from '../journey/event.ts'
import { columnsOf, type JourneyName, nameOf, WANTED } from './journey-rows.ts'
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

const OF_WANTED = `from ${WANTED}, lateral (
  select * from events e where e.journey_id = wanted.journey_id and e.environment = wanted.environment offset 0) as e`
const READ = `select e.environment, e.journey_id as "journeyId", ${JOURNEY_EVENT} ${OF_WANTED}`
const READ_LONG = `${COALESCED} ${OF_WANTED} ${BY_FACTS}`
/** With more events than this, they are read coalesced: for each, that costs Postgres more and the worker less. */
const LONG = 50

const READ_EARLIER = `${COALESCED}
from (select * from events where environment = $1 and journey_id = $2
  order by received_at desc, event_key desc offset $3) e
${BY_FACTS}`

/** The events of a journey before its `skip` newest ones, coalesced. */
export async function readEarlierEvents(
  connection: Connection,
  { environment, journeyId }: { environment: string; journeyId: string },
  skip: number,
): Promise<JourneyEvent[]> {
  const { rows } = await connection.query<JourneyEvent>({
    name: 'read_earlier_events',
    text: READ_EARLIER,
    values: [environment, journeyId, skip],
  })
  return rows
}

/**
 * Reads the events of journeys, coalesced or not.
 *
 * @param journeys each with about how many events it has
 * @returns the events by the journey's `nameOf`
 */
export async function readEvents(
  connection: Connection,
  journeys: readonly (JourneyName & { readonly events: number })[],
): Promise<Map<string, JourneyEvent[]>> {
  const [short, long] = await Promise.all(
    ([false, true] as const).map(async (isLong) => {
      const names = journeys.filter(({ events }) => events > LONG === isLong)
      if (names.length === 0) return []
      const { rows } = await connection.query<JourneyEvent & JourneyName>({
        name: isLong ? 'read_long_journeys' : 'read_journeys',
        text: isLong ? READ_LONG : READ,
        values: columnsOf(names),
      })
      return rows
    }),
  )
  return Map.groupBy([...(short ?? []), ...(long ?? [])], nameOf)
}
