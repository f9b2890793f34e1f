import type { JourneyEvent } from '../journey/fold.ts'
import { columnsOf, type JourneyName, nameOf, WANTED } from './journey-rows.ts'
import type { Connection } from './pool.ts'

/** SQL: whether the body of a row of `events` has a final decision and no manual one at all, not even null. */
export function finalWithoutManual(events: string): string {
  return `case when ${events}.final_decision is not null and ${events}.manual_decision is null then coalesce(
    jsonb_typeof(${events}.body->'body') = 'object' and not ${events}.body->'body' ? 'manualDecision', false) else false end`
}

const COLUMNS = ` e.environment, e.journey_id as "journeyId", e.kind, e.event, e.reference_no as "referenceNo",
  e.system_decision as "systemDecision", e.manual_decision as "manualDecision", e.final_decision as "finalDecision",
  ${finalWithoutManual('e')} as "finalWithoutManual", e.details->>'action' as action, e.details->>'trigger' as trigger,
  e.details->>'previousSystemDecision' as "previousSystemDecision",
  (e.details->>'updatedAMLVersionNumber')::float8 as "amlVersion",
  exists (select from dead_letters d where d.event_key = e.event_key and d.reason = 'conflict'
    and d.state in ('open', 'replaying')) as conflict`
const OF_THESE = `from ${WANTED}, lateral (
  select * from events e where e.journey_id = wanted.journey_id and e.environment = wanted.environment offset 0) as e`

const READ = `select ${COLUMNS}, round(extract(epoch from e.received_at) * 1000)::float8 as "firstAt",
  round(extract(epoch from e.received_at) * 1000)::float8 as "lastAt", 1 as count ${OF_THESE}`

// Events that say the same are read as one, so that a journey with very many of them stays cheap to fold.
const SAYING = `select ${COLUMNS},
  round(extract(epoch from min(e.received_at)) * 1000)::float8 as "firstAt",
  round(extract(epoch from max(e.received_at)) * 1000)::float8 as "lastAt", count(*)::int as count`
const ALIKE = 'group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14'

const READ_LONG = `${SAYING} ${OF_THESE} ${ALIKE}`
/** With more events than this a journey is read grouped, which costs Postgres more for each and the worker less. */
const LONG = 50

const READ_EARLIER = `${SAYING}
from (select * from events where environment = $1 and journey_id = $2
  order by received_at desc, event_key desc offset $3) e
${ALIKE}`

/** What the events of a journey say that came before the newest ones, `skip` of them; the same together as one. */
export async function readEarlierEvents(
  connection: Connection,
  { environment, journeyId }: { environment: string; journeyId: string },
  skip: number,
): Promise<JourneyEvent[]> {
  const values = [environment, journeyId, skip]
  const { rows } = await connection.query<JourneyEvent>({
    name: 'read_earlier_events',
    text: READ_EARLIER,
    values,
  })
  return rows
}

/**
 * Reads what the stored events of journeys say.
 *
 * @param journeys each with about how many events it has
 * @returns by `nameOf`
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
