import type { Environment } from '../idwise/envelope.ts'
import { foldJourney, type Journey, type JourneyEvent } from '../idwise/journey.ts'
import { textArray } from './array.ts'
import type { Connection } from './pool.ts'

/** Applications listen here; see docs/architecture.md. */
export const JOURNEY_CHANNEL = 'sluice_journeys'

export type JourneyName = { readonly environment: Environment; readonly journeyId: string }

/** What is announced about a journey: the columns that changed, all of them for a new journey. */
export type JourneyChange = JourneyName & { readonly changed: readonly (keyof Journey)[] }

/** What a transaction that has just inserted events knows of their journeys; each by `nameOf`. */
export type JustLanded = {
  readonly known: KnownJourneys
  /** Everything that it has inserted. */
  readonly events: ReadonlyMap<string, readonly JourneyEvent[]>
}

/**
 * Folds these journeys from all of their stored events and announces those that changed, in the caller's transaction.
 * Their rows are locked until it ends, so that of two transactions that land events of one journey the later one sees
 * what the earlier one has landed.
 *
 * @param landed saves reading what the caller knows: a new journey is made in one go
 * @returns the journeys whose row changed
 */
export async function foldJourneys(
  connection: Connection,
  names: readonly JourneyName[],
  landed?: JustLanded,
): Promise<JourneyChange[]> {
  const distinct = [...new Map(names.map((name) => [nameOf(name), name])).values()].sort(byName)
  if (distinct.length === 0) return []
  const { sizes, orphaned } = landed?.known ?? (await knownJourneys(connection, distinct))
  const told = (name: JourneyName) => landed?.events.get(nameOf(name)) ?? []
  const missing = distinct.filter((name) => !sizes.has(nameOf(name)))
  const fresh = missing.map((name) => changeOf(name, undefined, orphaned.has(nameOf(name)) ? [] : told(name)))
  const made = await makeJourneys(connection, fresh)
  const complete = fresh.filter(({ name, journey }) => made.has(nameOf(name)) && journey.events > 0)
  const isComplete = new Set(complete.map(({ name }) => nameOf(name)))
  const others = distinct.filter((name) => !isComplete.has(nameOf(name)))
  const isLong = (name: JourneyName) => (sizes.get(nameOf(name)) ?? 0) > LONG
  const read = (length: 'short' | 'long') =>
    readEvents(
      connection,
      others.filter((name) => isLong(name) === (length === 'long')),
      { length, withOwn: !landed },
    )
  const [before, short, long] = await Promise.all([
    lockJourneys(connection, others),
    read('short'),
    read('long'),
  ])
  const updated = others
    .map((name) => {
      const stored = short.get(nameOf(name)) ?? long.get(nameOf(name)) ?? []
      return changeOf(name, before.get(nameOf(name)), [...stored, ...told(name)])
    })
    .filter(({ journey, changed }) => journey.events > 0 && changed.length > 0)
  const changes = [...complete, ...updated]
  await Promise.all([updateJourneys(connection, updated, before), announce(connection, changes)])
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

// Each name is looked up by itself, whatever the planner thinks of the table: a plan that was made while the table was
// small would go through all of it for each batch.
const WANTED = 'unnest($1::text[], $2::text[]) as wanted(environment, journey_id)'
const OF_WANTED = 'j.environment = wanted.environment and j.journey_id = wanted.journey_id'

type Change = {
  readonly name: JourneyName
  readonly journey: Journey
  readonly changed: readonly (keyof Journey)[]
}

function changeOf(name: JourneyName, before: Journey | undefined, events: readonly JourneyEvent[]): Change {
  const journey = events.length > 0 ? foldJourney(events) : STUB
  return { name, journey, changed: changedFields(before, journey) }
}

/** The row of a journey whose events are not known yet, so that there is something to lock. */
const STUB: Journey = {
  referenceNo: null,
  stage: 'unknown',
  systemDecision: null,
  manualDecision: null,
  finalDecision: null,
  amlVersion: null,
  resubmission: null,
  renewal: null,
  events: 0,
  firstEventAt: 0,
  lastEventAt: 0,
  needsAttention: null,
}

/** What is known of journeys before their rows are locked; by `nameOf`. */
export type KnownJourneys = {
  /** How many events each row counts. A hint: it may have grown since. */
  readonly sizes: ReadonlyMap<string, number>
  /** Those whose row somebody has deleted, while events of theirs are still there. */
  readonly orphaned: ReadonlySet<string>
}

export async function knownJourneys(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<KnownJourneys> {
  if (names.length === 0) return { sizes: new Map(), orphaned: new Set() }
  const { rows } = await connection.query<JourneyName & { events: number | null; hasEvents: boolean | null }>(
    {
      name: 'known_journeys',
      text: `select environment, journey_id as "journeyId", row.events, stored.found as "hasEvents"
      from ${WANTED} left join lateral (select events from journeys j where ${OF_WANTED} limit 1) as row on true
      left join lateral (
        select true as found from events e where row.events is null and e.journey_id = wanted.journey_id
          and e.environment = wanted.environment and e.xmin <> pg_current_xact_id()::xid limit 1) as stored on true`,
      values: columnsOf(names),
    },
  )
  return {
    sizes: new Map(rows.flatMap((row) => (row.events === null ? [] : [[nameOf(row), row.events]]))),
    orphaned: new Set(rows.filter((row) => row.hasEvents).map(nameOf)),
  }
}

const FIELDS = `$1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
  $9::int[], $10::float8[], $11::float8[], $12::text[]`
const FIELD_NAMES = 'ref, stage, sd, md, fd, aml, resub, renewal, n, first, last, attention'

function fieldsOf(changes: readonly Change[]): unknown[] {
  const texts = (pick: (journey: Journey) => string | null) =>
    textArray(changes.map(({ journey }) => pick(journey)))
  const numbers = (pick: (journey: Journey) => number | null) => changes.map(({ journey }) => pick(journey))
  return [
    texts(({ referenceNo }) => referenceNo),
    texts(({ stage }) => stage),
    texts(({ systemDecision }) => systemDecision),
    texts(({ manualDecision }) => manualDecision),
    texts(({ finalDecision }) => finalDecision),
    numbers(({ amlVersion }) => amlVersion),
    texts(({ resubmission }) => resubmission),
    texts(({ renewal }) => renewal),
    numbers(({ events }) => events),
    numbers(({ firstEventAt }) => firstEventAt),
    numbers(({ lastEventAt }) => lastEventAt),
    texts(({ needsAttention }) => needsAttention),
  ]
}

const MAKE = `
insert into journeys (reference_no, stage, system_decision, manual_decision, final_decision, aml_version, resubmission,
  renewal, events, first_event_at, last_event_at, needs_attention, updated_at, environment, journey_id)
select ref, stage, sd, md, fd, aml, resub, renewal, n, to_timestamp(first / 1000), to_timestamp(last / 1000), attention,
  clock_timestamp(), environment, journey_id
from unnest(${FIELDS}, $13::text[], $14::text[]) as t(${FIELD_NAMES}, environment, journey_id)
order by environment, journey_id
on conflict do nothing
returning environment, journey_id as "journeyId"`

const UPDATE = `
update journeys j set reference_no = t.ref, stage = t.stage, system_decision = t.sd, manual_decision = t.md,
  final_decision = t.fd, aml_version = t.aml, resubmission = t.resub, renewal = t.renewal, events = t.n,
  first_event_at = to_timestamp(t.first / 1000), last_event_at = to_timestamp(t.last / 1000), needs_attention = t.attention,
  updated_at = clock_timestamp()
from unnest(${FIELDS}, $13::tid[]) as t(${FIELD_NAMES}, place)
where j.ctid = t.place`

/** @returns by `nameOf`, those that nobody else has made meanwhile */
async function makeJourneys(connection: Connection, changes: readonly Change[]): Promise<Set<string>> {
  if (changes.length === 0) return new Set()
  const { rows } = await connection.query<JourneyName>({
    name: 'make_journeys',
    text: MAKE,
    values: [...fieldsOf(changes), ...columnsOf(changes.map(({ name }) => name))],
  })
  return new Set(rows.map(nameOf))
}

/** @property place of its row, until this transaction changes it: a `ctid` */
type LockedJourney = Journey & { readonly place: string }

// Names come sorted, which is the order of the locks.
const LOCK = `
select environment, journey_id as "journeyId", row.* from ${WANTED}, lateral (
  select reference_no as "referenceNo", stage, system_decision as "systemDecision", manual_decision as "manualDecision",
    final_decision as "finalDecision", aml_version::float8 as "amlVersion", resubmission, renewal, events,
    round(extract(epoch from first_event_at) * 1000)::float8 as "firstEventAt",
    round(extract(epoch from last_event_at) * 1000)::float8 as "lastEventAt", needs_attention as "needsAttention",
    ctid as place
  from journeys j where ${OF_WANTED} for update) as row`

/**
 * @returns the locked rows as they were
 * @throws where a row can be neither made nor found
 */
async function lockJourneys(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<Map<string, LockedJourney>> {
  if (names.length === 0) return new Map()
  const { rows } = await connection.query<LockedJourney & JourneyName>({
    name: 'lock_journeys',
    text: LOCK,
    values: columnsOf(names),
  })
  if (rows.length < names.length) throw new Error('the rows of some journeys can be neither made nor locked')
  return new Map(
    rows.map(({ environment, journeyId, ...journey }) => [nameOf({ environment, journeyId }), journey]),
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
const OF_THESE = `from ${WANTED}, lateral (
  select * from events e where e.journey_id = wanted.journey_id and e.environment = wanted.environment
    and ($3 or e.xmin <> pg_current_xact_id()::xid) offset 0) as e`

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

/** @param options.withOwn reads what this transaction has inserted, too */
async function readEvents(
  connection: Connection,
  names: readonly JourneyName[],
  { length, withOwn }: { length: 'short' | 'long'; withOwn: boolean },
): Promise<Map<string, JourneyEvent[]>> {
  if (names.length === 0) return new Map()
  const { rows } = await connection.query<JourneyEvent & JourneyName>({
    name: `read_${length}_journeys`,
    text: length === 'short' ? READ : READ_LONG,
    values: [...columnsOf(names), withOwn],
  })
  return Map.groupBy(rows, nameOf)
}

async function updateJourneys(
  connection: Connection,
  changes: readonly Change[],
  locked: ReadonlyMap<string, LockedJourney>,
): Promise<void> {
  if (changes.length === 0) return
  const places = changes.map(({ name }) => locked.get(nameOf(name))?.place)
  await connection.query({ name: 'update_journeys', text: UPDATE, values: [...fieldsOf(changes), places] })
}

async function announce(connection: Connection, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  await connection.query({
    name: 'announce_journeys',
    text: `select pg_notify('${JOURNEY_CHANNEL}', message) from unnest($1::text[]) as t(message)`,
    values: [textArray(changes.map(({ name, changed }) => JSON.stringify({ ...name, changed })))],
  })
}

function changedFields(before: Journey | undefined, after: Journey): (keyof Journey)[] {
  const fields = Object.keys(after) as (keyof Journey)[]
  return before && before.events > 0 ? fields.filter((field) => before[field] !== after[field]) : fields
}

function columnsOf(names: readonly JourneyName[]): [environments: Buffer, journeyIds: Buffer] {
  return [
    textArray(names.map(({ environment }) => environment)),
    textArray(names.map(({ journeyId }) => journeyId)),
  ]
}

/** One text for a journey's two names, to compare and look up. */
export function nameOf({ environment, journeyId }: JourneyName): string {
  return `${environment} ${journeyId}`
}

function byName(a: JourneyName, b: JourneyName): number {
  return nameOf(a) < nameOf(b) ? -1 : 1
}
