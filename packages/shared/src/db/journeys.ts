import type { Environment } from '../idwise/envelope.ts'
import { foldJourney, type Journey, type JourneyEvent } from '../idwise/journey.ts'
import type { Connection } from './pool.ts'

/** Applications listen here; see docs/architecture.md. */
export const JOURNEY_CHANNEL = 'sluice_journeys'

export type JourneyName = { readonly environment: Environment; readonly journeyId: string }

/** What is announced about a journey: the columns that changed, all of them for a new journey. */
export type JourneyChange = JourneyName & { readonly changed: readonly (keyof Journey)[] }

/**
 * Folds these journeys from all of their stored events and announces those that changed, in the caller's transaction.
 * Their rows are locked until it ends, so that of two transactions that land events of one journey the later one sees
 * what the earlier one has landed.
 *
 * @returns the journeys whose row changed
 */
export async function foldJourneys(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<JourneyChange[]> {
  const distinct = [...new Map(names.map((name) => [textOf(name), name])).values()].sort(byName)
  if (distinct.length === 0) return []
  const before = await lockJourneys(connection, distinct)
  const isLong = (name: JourneyName) => (before.get(textOf(name))?.events ?? 0) > LONG
  const events = new Map([
    ...(await readEvents(
      connection,
      'short',
      distinct.filter((name) => !isLong(name)),
    )),
    ...(await readEvents(connection, 'long', distinct.filter(isLong))),
  ])
  const changes = distinct.flatMap((name) => {
    const told = events.get(textOf(name))
    if (!told) return []
    const journey = foldJourney(told)
    const changed = changedFields(before.get(textOf(name)), journey)
    return changed.length > 0 ? [{ name, journey, changed }] : []
  })
  if (changes.length === 0) return []
  await writeJourneys(connection, changes)
  return changes.map(({ name, changed }) => ({ ...name, changed }))
}

/** Folds the journey of a stored event, where there is one. */
export async function foldJourneyOf(connection: Connection, eventKey: Buffer | null): Promise<void> {
  const { rows } = await connection.query<JourneyName>(
    `select environment, journey_id as "journeyId" from events where event_key = $1 and journey_id is not null`,
    [eventKey],
  )
  await foldJourneys(connection, rows)
}

// Every journey has a row before any is locked: a stub where it is new, so that there is something to lock. Where another
// transaction has just made it, this waits for that to end. Were both one statement, or done again for what is missing, a
// transaction would hold locks while it waits for rows out of order, and two of them could wait for each other.
const MAKE = `
insert into journeys (environment, journey_id, stage, events, first_event_at, last_event_at)
select environment, journey_id, 'unknown', 0, 'epoch', 'epoch'
from unnest($1::text[], $2::text[]) as wanted(environment, journey_id)
where not exists (select from journeys j where (j.environment, j.journey_id) = (wanted.environment, wanted.journey_id))
order by environment, journey_id
on conflict do nothing`

const LOCK = `
select environment, journey_id as "journeyId", reference_no as "referenceNo", stage,
  system_decision as "systemDecision", manual_decision as "manualDecision", final_decision as "finalDecision",
  aml_version::float8 as "amlVersion", resubmission, renewal, events,
  round(extract(epoch from first_event_at) * 1000)::float8 as "firstEventAt",
  round(extract(epoch from last_event_at) * 1000)::float8 as "lastEventAt", needs_attention as "needsAttention"
from journeys j join unnest($1::text[], $2::text[]) as wanted(environment, journey_id) using (environment, journey_id)
order by environment, journey_id for update of j`

/**
 * @returns the locked rows as they were; one that did not exist has no events.
 * @throws where a row can be neither made nor found
 */
async function lockJourneys(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<Map<string, Journey>> {
  const values = columnsOf(names)
  await connection.query({ name: 'make_journeys', text: MAKE, values })
  const { rows } = await connection.query<Journey & JourneyName>({
    name: 'lock_journeys',
    text: LOCK,
    values,
  })
  if (rows.length < names.length) throw new Error('the rows of some journeys can be neither made nor locked')
  return new Map(
    rows.map(({ environment, journeyId, ...journey }) => [textOf({ environment, journeyId }), journey]),
  )
}

/** SQL: whether the body of a row of `events` has a final decision and no manual one at all, not even null. */
export function finalAlone(events: string): string {
  return `case when ${events}.final_decision is not null and ${events}.manual_decision is null then coalesce(
    jsonb_typeof(${events}.body->'body') = 'object' and not ${events}.body->'body' ? 'manualDecision', false) else false end`
}

const COLUMNS = ` e.environment, e.journey_id as "journeyId", e.kind, e.event, e.reference_no as "referenceNo",
  e.system_decision as "systemDecision", e.manual_decision as "manualDecision", e.final_decision as "finalDecision",
  ${finalAlone('e')} as "finalAlone", e.details->>'action' as action, e.details->>'trigger' as trigger,
  e.details->>'previousSystemDecision' as "previousSystemDecision",
  (e.details->>'updatedAMLVersionNumber')::float8 as "amlVersion",
  exists (select from dead_letters d where d.event_key = e.event_key and d.reason = 'conflict'
    and d.state in ('open', 'replaying')) as conflict`
const OF_THESE = `from unnest($1::text[], $2::text[]) as t(environment, journey_id)
join events e on e.journey_id = t.journey_id and e.environment = t.environment`

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

async function readEvents(
  connection: Connection,
  length: 'short' | 'long',
  names: readonly JourneyName[],
): Promise<Map<string, JourneyEvent[]>> {
  if (names.length === 0) return new Map()
  const { rows } = await connection.query<JourneyEvent & JourneyName>({
    name: `read_${length}_journeys`,
    text: length === 'short' ? READ : READ_LONG,
    values: columnsOf(names),
  })
  return Map.groupBy(rows, textOf)
}

const WRITE = `
update journeys j set reference_no = t.ref, stage = t.stage, system_decision = t.sd, manual_decision = t.md,
  final_decision = t.fd, aml_version = t.aml, resubmission = t.resub, renewal = t.renewal, events = t.n,
  first_event_at = to_timestamp(t.first / 1000), last_event_at = to_timestamp(t.last / 1000), needs_attention = t.attention,
  updated_at = clock_timestamp()
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
  $10::text[], $11::int[], $12::float8[], $13::float8[], $14::text[])
  as t(environment, journey_id, ref, stage, sd, md, fd, aml, resub, renewal, n, first, last, attention)
where j.environment = t.environment and j.journey_id = t.journey_id`

async function writeJourneys(
  connection: Connection,
  changes: readonly { name: JourneyName; journey: Journey; changed: readonly (keyof Journey)[] }[],
): Promise<void> {
  const column = (pick: (journey: Journey) => unknown) => changes.map(({ journey }) => pick(journey))
  await connection.query({
    name: 'write_journeys',
    text: WRITE,
    values: [
      ...columnsOf(changes.map(({ name }) => name)),
      column(({ referenceNo }) => referenceNo),
      column(({ stage }) => stage),
      column(({ systemDecision }) => systemDecision),
      column(({ manualDecision }) => manualDecision),
      column(({ finalDecision }) => finalDecision),
      column(({ amlVersion }) => amlVersion),
      column(({ resubmission }) => resubmission),
      column(({ renewal }) => renewal),
      column(({ events }) => events),
      column(({ firstEventAt }) => firstEventAt),
      column(({ lastEventAt }) => lastEventAt),
      column(({ needsAttention }) => needsAttention),
    ],
  })
  await connection.query({
    name: 'announce_journeys',
    text: `select pg_notify('${JOURNEY_CHANNEL}', message) from unnest($1::text[]) as t(message)`,
    values: [changes.map(({ name, changed }) => JSON.stringify({ ...name, changed }))],
  })
}

function changedFields(before: Journey | undefined, after: Journey): (keyof Journey)[] {
  const fields = Object.keys(after) as (keyof Journey)[]
  return before && before.events > 0 ? fields.filter((field) => before[field] !== after[field]) : fields
}

function columnsOf(names: readonly JourneyName[]): [environments: string[], journeyIds: string[]] {
  return [names.map(({ environment }) => environment), names.map(({ journeyId }) => journeyId)]
}

function textOf({ environment, journeyId }: JourneyName): string {
  return `${environment} ${journeyId}`
}

function byName(a: JourneyName, b: JourneyName): number {
  return textOf(a) < textOf(b) ? -1 : 1
}
