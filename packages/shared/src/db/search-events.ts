import { KNOWN_NAMES } from '../idwise/event.ts'
import { eventKey } from '../idwise/identity.ts'
import { DEFAULT_SOURCES, namesOf } from '../runtime/sources.ts'
import { byteaArray, textArray, uuidArray } from './array.ts'
import { GONE_BECAUSE, type GoneEvent, OF_KEY } from './event-keys.ts'
import type { Db } from './pool.ts'

/** A stored event without its body. */
export type EventSummary = {
  /** Hex. */
  readonly eventKey: string
  readonly environment: string
  readonly event: string | null
  readonly kind: string
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly referenceNo: string | null
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  readonly finalDecision: string | null
  readonly receivedAt: Date
  readonly processedAt: Date
  readonly duplicates: number
  readonly via: string
}

/** SQL: a row `e` of `events` as an `EventSummary`. */
export const EVENT_SUMMARY = `encode(e.event_key, 'hex') as "eventKey", e.environment, e.event, e.kind,
  e.event_id as "eventId", e.journey_id as "journeyId", e.reference_no as "referenceNo",
  e.system_decision as "systemDecision", e.manual_decision as "manualDecision", e.final_decision as "finalDecision",
  e.received_at as "receivedAt", e.processed_at as "processedAt", e.duplicates, e.via`

/** A result with the place of the name that it was found by. */
export type Of<Found> = Found & { readonly index: number }

/** For one name, at most so many rows are read from each index. */
export const MOST_OF_NAME = 20

/** Each ingest carries on what it knows: the newest rows have what all of them know. */
const NEWEST = 50

/** The environments of which there are journeys, or ingests have accepted an event; and the usual ones. */
export async function readEnvironments({ pool }: Db): Promise<string[]> {
  // Steps from one environment to the next through the primary key.
  const { rows } = await pool.query<{ name: string }>(`with recursive known as (
    (select environment as name from journeys order by environment limit 1)
    union all
    select (select environment from journeys where environment > known.name order by environment limit 1)
    from known where known.name is not null)
    select name from known where name is not null
    union select jsonb_object_keys(counters->'last') from (select counters from minutes
      where role = 'ingest' order by minute desc limit ${NEWEST}) as newest`)
  return [...new Set([...namesOf(DEFAULT_SOURCES), ...rows.map(({ name }) => name)])]
}

/** The keys that an event of this id has under each known name and in each environment. */
export function keysOfId(eventId: string, environments: readonly string[]): Buffer[] {
  return environments.flatMap((environment) =>
    KNOWN_NAMES.map((normalisedEvent) => eventKey(environment, { normalisedEvent, eventId })),
  )
}

const BY_KEYS = `select wanted.n::int - 1 as index, e.*, k.landed_at as "landedAt",
    case when e."eventKey" is null then ${GONE_BECAUSE} end as because
  from unnest($1::uuid[]) with ordinality as wanted(key, n) join event_keys k on k.key = wanted.key
  left join retention r on true
  left join lateral (select ${EVENT_SUMMARY} from events e where ${OF_KEY} offset 0) as e on true`

/** The events of keys, each found in the partition to which its key leads, and those that are not stored any more. */
export async function findByKeys(
  { pool }: Db,
  keys: readonly Buffer[],
): Promise<{ events: Of<EventSummary>[]; gone: Of<GoneEvent>[] }> {
  if (keys.length === 0) return { events: [], gone: [] }
  const { rows } = await pool.query<
    Of<EventSummary> & Pick<GoneEvent, 'landedAt'> & { because: GoneEvent['because'] | null }
  >(BY_KEYS, [uuidArray(keys)])
  return {
    events: rows.flatMap(({ because, landedAt: _, ...event }) => (because === null ? [event] : [])),
    gone: rows.flatMap(({ because, landedAt, index }) =>
      because === null
        ? []
        : [{ index, eventKey: (keys[index] as Buffer).toString('hex', 0, 16), landedAt, because }],
    ),
  }
}

// The key of an event with a known name follows from its id. These are the others, and events without a journey.
const BY_NAMES = `select index, ${EVENT_SUMMARY} from (
  select wanted.n::int - 1 as index, e.* from unnest($1::text[]) with ordinality as wanted(name, n), lateral (
    select * from events where event_id = wanted.name and kind = 'unrecognised' limit ${MOST_OF_NAME}) as e
  union all
  select wanted.n::int - 1, e.* from unnest($1::text[]) with ordinality as wanted(name, n), lateral (
    select * from events where reference_no = wanted.name and journey_id is null limit ${MOST_OF_NAME}) as e
  union all
  select wanted.n::int - 1, e.* from unnest($2::bytea[]) with ordinality as wanted(hash, n), lateral (
    select * from events where body_sha256 = wanted.hash and event_id is null
    order by received_at desc limit ${MOST_OF_NAME}) as e
  where wanted.hash is not null) as e`

/**
 * The events that no key leads to: of an unknown kind, by their id; of no journey, by their reference number; without
 * an id, by the SHA-256 of their bytes.
 *
 * @param hashes in the order of the names; null for a name that is none
 */
export async function findByNames(
  { pool }: Db,
  names: readonly string[],
  hashes: readonly (Buffer | null)[],
): Promise<Of<EventSummary>[]> {
  const { rows } = await pool.query<Of<EventSummary>>(BY_NAMES, [textArray(names), byteaArray(hashes)])
  return rows
}

/** The keys that begin with these hex digits, at least 8 and at most 63. At most 20. */
export async function findKeyStarts({ pool }: Db, digits: string): Promise<Buffer[]> {
  const start = digits.slice(0, 32)
  const { rows } = await pool.query<{ key: string }>(
    `select key::text from event_keys where key between $1::uuid and $2::uuid order by key limit ${MOST_OF_NAME}`,
    [start.padEnd(32, '0'), start.padEnd(32, 'f')],
  )
  return rows.map(({ key }) => Buffer.from(key.replaceAll('-', ''), 'hex'))
}
