import { textArray, uuidArray } from './array.ts'
import { OF_KEY } from './event-keys.ts'
import type { Db } from './pool.ts'
import { EVENT_SUMMARY, type EventSummary } from './search-events.ts'

/** The place of an event in the order in which events have landed. */
export type EventPlace = {
  /** `processed_at` in µs since 1970. */
  readonly us: string
  readonly n: number
  /** Hex. */
  readonly eventKey: string
}

/** Where events are read from; each has an index. */
export type EventSource =
  | { readonly from: 'time' }
  | { readonly from: 'unrecognised' }
  /** Those of journeys, and those without journey of a reference number. */
  | { readonly from: 'journeys'; readonly ids: readonly string[]; readonly referenceNo: string | null }
  /** Those of an event id: by the keys that it has under known names, and those of an unknown kind. */
  | { readonly from: 'id'; readonly eventId: string; readonly keys: readonly Buffer[] }
  | { readonly from: 'nothing' }

/** A reference number, and the ids of the journeys that have or had it. */
type OfReference = { readonly referenceNo: string; readonly journeys: readonly string[] }

/** What events must have. None of it has an index. */
export type EventFilters = {
  readonly environment?: string | undefined
  readonly kind?: string | undefined
  readonly journey?: string | undefined
  /** The number of the event itself. */
  readonly referenceNo?: string | undefined
  /** The number of the event itself, or one that its journey has or had. */
  readonly ofReference?: OfReference | undefined
  /** The name of the event as received. */
  readonly event?: string | undefined
  /** Any of its decisions. */
  readonly decision?: string | undefined
  readonly systemDecision?: string | undefined
  readonly manualDecision?: string | undefined
  readonly finalDecision?: string | undefined
  readonly via?: string | undefined
  readonly hasDuplicates?: boolean | undefined
  /** Landed since then, and before `to`. */
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  /** JSON: the body has all that is in one of these. */
  readonly body?: readonly string[] | undefined
}

type PlacedEvent = EventSummary & { readonly place: EventPlace }

export type EventsRead = {
  readonly events: PlacedEvent[]
  /** The last event that was looked at, if there may be more behind it that were not; null: there are no more. */
  readonly lookedTo: EventPlace | null
}

/** A statement looks at no more events than this. */
export const SLICE = 20_000

type Asked = {
  readonly source: EventSource
  readonly filters: EventFilters
  readonly limit: number
  /** Only events beyond this one. */
  readonly beyond?: EventPlace | undefined
  /** `older`: the newest first. */
  readonly towards?: 'older' | 'newer'
}

/** Reads the next events that meet the filters, from a place on, in one statement. */
export async function readEventsPage(
  { pool }: Db,
  { source, filters, limit, beyond, towards = 'older' }: Asked,
): Promise<EventsRead> {
  const values: unknown[] = []
  const value = (given: unknown, type: string) => `$${values.push(given)}::${type}`
  const order = towards === 'older' ? 'desc' : 'asc'
  const inOrder = (alias: string) =>
    ['processed_at', 'n', 'event_key'].map((column) => `${alias}.${column} ${order}`).join(', ')
  const bounds = [
    ...(filters.from ? [`events.processed_at >= ${value(filters.from, 'timestamptz')}`] : []),
    ...(filters.to ? [`events.processed_at < ${value(filters.to, 'timestamptz')}`] : []),
    ...(beyond ? placed(beyond, towards, value) : []),
  ]
  const slice = `${sourceOf(source, bounds, value)} order by ${inOrder('events')}`
  const wanted = conditionsOf(filters, value)
  const first = value(limit, 'int')
  const { rows } = await pool.query<Omit<PlacedEvent, 'place'> & Columns>(
    `with page as materialized (
      select e.* from (${slice} limit ${SLICE}) as e where ${wanted.join(' and ') || 'true'}
      order by ${inOrder('e')} limit ${first})
    select ${EVENT_SUMMARY}, ${placeOf('e')} as place, edge.place as edge from (
      select case when (select count(*) from page) < ${first}
        then (select ${placeOf('events')} from (${slice} offset ${SLICE - 1} limit 1) as events) end as place) as edge
    left join page e on true order by ${inOrder('e')}`,
    values,
  )
  const events = rows.flatMap(({ edge: _, place, ...event }) =>
    event.eventKey === null ? [] : [{ ...event, place: readPlace(place) }],
  )
  const edge = rows[0]?.edge
  const last = events.at(-1)?.place ?? null
  return { events, lookedTo: events.length === limit ? last : edge ? readPlace(edge) : null }
}

type Columns = { readonly place: string[]; readonly edge: string[] | null }
type Value = (given: unknown, type: string) => string

const placeOf = (alias: string) =>
  `array[(extract(epoch from ${alias}.processed_at) * 1000000)::bigint::text, ${alias}.n::text, encode(${alias}.event_key, 'hex')]`

function readPlace([us = '', n = '', eventKey = '']: readonly string[]): EventPlace {
  return { us, n: Number(n), eventKey }
}

/** A time with its microseconds, which a Date does not have. */
function timeOf({ us }: EventPlace): string {
  const ms = new Date(Number(BigInt(us) / 1_000n)).toISOString().slice(0, -1)
  return `${ms}${String(BigInt(us) % 1_000n).padStart(3, '0')}Z`
}

function placed(place: EventPlace, towards: 'older' | 'newer', value: Value): string[] {
  const sign = towards === 'older' ? '<' : '>'
  const at = value(timeOf(place), 'timestamptz')
  const rest = `${value(place.n, 'smallint')}, ${value(Buffer.from(place.eventKey, 'hex'), 'bytea')}`
  // The planner leaves out partitions by the first of these alone.
  return [
    `events.processed_at ${sign}= ${at}`,
    `(events.processed_at, events.n, events.event_key) ${sign} (${at}, ${rest})`,
  ]
}

/** SQL: the events of a source as `events`, of which the first 20,000 are read. */
function sourceOf(source: EventSource, bounds: readonly string[], value: Value): string {
  const where = (...which: readonly string[]) => [...which, ...bounds].join(' and ') || 'true'
  if (source.from === 'time') return `select * from events where ${where()}`
  if (source.from === 'unrecognised')
    return `select * from events where ${where("events.kind = 'unrecognised'")}`
  if (source.from === 'nothing') return `select * from events where ${where('false')}`
  // The subquery keeps the planner from reading by time until it has found enough of a journey.
  if (source.from === 'id') {
    const keys = value(uuidArray(source.keys), 'uuid[]')
    return `select * from (select e.* from unnest(${keys}) as wanted(key) join event_keys k on k.key = wanted.key,
      lateral (select * from events e where ${OF_KEY} offset 0) as e
      union all select * from events where event_id = ${value(source.eventId, 'text')} and kind = 'unrecognised'
      offset 0) as events where ${where()}`
  }
  const ids = value(textArray(source.ids), 'text[]')
  const alone =
    source.referenceNo === null
      ? ''
      : `union all select * from events where reference_no = ${value(source.referenceNo, 'text')} and journey_id is null`
  return `select * from (select * from events where journey_id = any(${ids}) ${alone} offset 0) as events where ${where()}`
}

function conditionsOf(filters: EventFilters, value: Value): string[] {
  const { environment, kind, journey, referenceNo, ofReference, event, via } = filters
  const { systemDecision, manualDecision, finalDecision } = filters
  const equal = Object.entries({
    environment,
    kind,
    journey_id: journey,
    reference_no: referenceNo,
    event,
    system_decision: systemDecision,
    manual_decision: manualDecision,
    final_decision: finalDecision,
    via,
  })
  return [
    ...equal.flatMap(([column, given]) =>
      given === undefined ? [] : [`e.${column} = ${value(given, 'text')}`],
    ),
    ...(ofReference
      ? [
          `(e.reference_no = ${value(ofReference.referenceNo, 'text')} or e.journey_id = any(${value(textArray(ofReference.journeys), 'text[]')}))`,
        ]
      : []),
    ...(filters.decision === undefined
      ? []
      : [`${value(filters.decision, 'text')} in (e.system_decision, e.manual_decision, e.final_decision)`]),
    ...(filters.hasDuplicates ? ['e.duplicates > 0'] : []),
    ...(filters.body
      ? [`(${filters.body.map((json) => `e.body @> ${value(json, 'jsonb')}`).join(' or ')})`]
      : []),
  ]
}

/** Postgres' clock, in µs since 1970. */
export async function readClock({ pool }: Db): Promise<bigint> {
  const { rows } = await pool.query<{ us: string }>(
    'select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as us',
  )
  return BigInt(rows[0]?.us ?? 0)
}
