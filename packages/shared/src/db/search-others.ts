import { byteaArray, textArray } from './array.ts'
import { nameOf } from './journey-rows.ts'
import type { Db } from './pool.ts'
import { HAS_COME } from './refusals.ts'
import { EVENT_SUMMARY, type EventSummary, MOST_OF_NAME, type Of } from './search-events.ts'

/** A row of `journeys`, as a search shows it. */
export type JourneySummary = {
  readonly environment: string
  readonly journeyId: string
  readonly referenceNo: string | null
  readonly stage: string
  readonly systemDecision: string | null
  readonly finalDecision: string | null
  readonly events: number
  readonly lastEventAt: Date
}

/** SQL: a row `j` of `journeys` as a `JourneySummary`. */
export const JOURNEY = `j.environment, j.journey_id as "journeyId", j.reference_no as "referenceNo", j.stage,
  j.system_decision as "systemDecision", j.final_decision as "finalDecision", j.events, j.last_event_at as "lastEventAt"`

/** Of a reference number with more journeys, these are not in order. */
const MOST_SORTED = 1_000

/** The journeys of ids or reference numbers, the last active ones first, at most 20 of each. */
export async function findJourneysOf(
  { pool }: Db,
  names: readonly string[],
  environments: readonly string[],
): Promise<Of<JourneySummary>[]> {
  const { rows } = await pool.query<Of<JourneySummary>>(
    `select wanted.n::int - 1 as index, ${JOURNEY} from unnest($1::text[]) with ordinality as wanted(name, n), lateral (
      select j.* from unnest($2::text[]) as environments(name)
        join journeys j on j.environment = environments.name and j.journey_id = wanted.name
      union
      (select * from (select * from journeys where reference_no = wanted.name limit ${MOST_SORTED}) as of_reference
        order by last_event_at desc limit ${MOST_OF_NAME})
      union
      (select j.* from (select * from former_references where reference_no = wanted.name limit ${MOST_OF_NAME}) as f
        join journeys j using (environment, journey_id))) as j order by 1, j.last_event_at desc`,
    [textArray(names), textArray(environments)],
  )
  return rows
}

/** The ids of the journeys that have or had a reference number, at most 1,000 of each. */
export async function findIdsOfReference({ pool }: Db, referenceNo: string): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `(select journey_id as id from journeys where reference_no = $1 limit ${MOST_SORTED}) union
     (select journey_id from former_references where reference_no = $1 limit ${MOST_SORTED})`,
    [referenceNo],
  )
  return rows.map(({ id }) => id)
}

/** SQL: the rows of a table that have a reference number which begins with a text, in order. */
const startsIn = (table: string, which = 'true') =>
  `(select * from ${table} where reference_no like $1 and ${which} order by reference_no using ~<~ limit ${MOST_OF_NAME})`

/**
 * What has a reference number that begins with a text, in the order of these, at most 20 of each: journeys that have or
 * had it, events without journey, open dead letters.
 */
export async function findReferenceStarts(
  { pool }: Db,
  start: string,
): Promise<{ journeys: JourneySummary[]; events: EventSummary[]; letters: LetterSummary[] }> {
  const like = [`${start.replace(/[\\%_]/g, '\\$&')}%`]
  const [journeys, former, events, letters] = await Promise.all([
    pool.query<JourneySummary>(`select ${JOURNEY} from ${startsIn('journeys')} as j`, like),
    pool.query<JourneySummary>(
      `select ${JOURNEY} from ${startsIn('former_references')} as f join journeys j using (environment, journey_id)`,
      like,
    ),
    pool.query<EventSummary>(
      `select ${EVENT_SUMMARY} from ${startsIn('events', 'journey_id is null')} as e`,
      like,
    ),
    pool.query<LetterSummary>(
      `select ${LETTER_SUMMARY} from ${startsIn('dead_letters', "state = 'open'")} as d`,
      like,
    ),
  ])
  const distinct = new Map([...journeys.rows, ...former.rows].map((journey) => [nameOf(journey), journey]))
  return { journeys: [...distinct.values()], events: events.rows, letters: letters.rows }
}

export type Neighbour = {
  readonly name: string
  readonly environment: string
  readonly journeyId: string
}

// In each index, the rows just before and just after the place where the name would be.
const NEIGHBOURS = `
(select reference_no as name, environment, journey_id as "journeyId" from journeys
  where reference_no ~>~ $1 order by reference_no using ~<~ limit 3)
union all
(select reference_no, environment, journey_id from journeys
  where reference_no ~<~ $1 order by reference_no using ~>~ limit 3)
union all
select j.journey_id, j.environment, j.journey_id from unnest($2::text[]) as environments(name), lateral (
  (select * from journeys where environment = environments.name and journey_id > $1 order by journey_id limit 3)
  union all
  (select * from journeys where environment = environments.name and journey_id < $1 order by journey_id desc limit 3)
) as j`

/** Reference numbers and journey ids that stand near a name in the order of their indexes. */
export async function findNeighbours(
  { pool }: Db,
  name: string,
  environments: readonly string[],
): Promise<Neighbour[]> {
  const { rows } = await pool.query<Neighbour>(NEIGHBOURS, [name, textArray(environments)])
  return rows
}

/** A dead letter without its body. */
export type LetterSummary = {
  readonly id: number
  readonly jobId: string
  /** Hex. */
  readonly eventKey: string | null
  readonly environment: string | null
  readonly event: string | null
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly referenceNo: string | null
  readonly reason: string
  readonly errorMessage: string
  readonly state: string
  readonly attempts: number
  readonly replays: number
  readonly receivedAt: Date | null
  readonly firstFailedAt: Date
  readonly lastFailedAt: Date
}

/** SQL: a row `d` of `dead_letters` as a `LetterSummary`. */
export const LETTER_SUMMARY = `d.id::float8 as id, d.job_id as "jobId", encode(d.event_key, 'hex') as "eventKey",
  d.environment, d.event, d.event_id as "eventId", d.journey_id as "journeyId", d.reference_no as "referenceNo",
  d.reason, d.error_message as "errorMessage", d.state, d.attempts, d.replays,
  d.received_at as "receivedAt", d.first_failed_at as "firstFailedAt", d.last_failed_at as "lastFailedAt"`

const letters = (which: string) =>
  `(select id from dead_letters where ${which} order by id desc limit ${MOST_OF_NAME})`
const LETTERS = `select wanted.n::int - 1 as index, ${LETTER_SUMMARY}
  from unnest($1::text[], $2::bytea[]) with ordinality as wanted(name, hash, n), lateral (
    ${letters('event_id = wanted.name')} union ${letters('journey_id = wanted.name')} union
    ${letters('reference_no = wanted.name')} union ${letters('job_id = wanted.name')} union
    ${letters('wanted.hash is not null and event_key = wanted.hash')} union
    ${letters('wanted.hash is not null and event_id is null and sha256(raw) = wanted.hash')}) as found
  join dead_letters d on d.id = found.id order by 1, d.id desc`

/**
 * The dead letters that a name finds: an id of an event, journey or job, a reference number, an event key, the SHA-256
 * of the bytes of an event without id.
 *
 * @param hashes in the order of the names; null for a name that is none
 */
export async function findLetters(
  { pool }: Db,
  names: readonly string[],
  hashes: readonly (Buffer | null)[],
): Promise<Of<LetterSummary>[]> {
  const { rows } = await pool.query<Of<LetterSummary>>(LETTERS, [textArray(names), byteaArray(hashes)])
  return rows
}

/** An event that was answered 503. */
export type RefusedEvent = {
  /** Hex. */
  readonly eventKey: string
  readonly environment: string
  readonly event: string | null
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly referenceNo: string | null
  readonly firstRefusedAt: Date
  readonly lastRefusedAt: Date
  readonly deliveries: number
}

/** SQL: a row `f` of `refusals` as a `RefusedEvent`. */
export const REFUSED = `encode(f.event_key, 'hex') as "eventKey", f.environment, f.event, f.event_id as "eventId",
  f.journey_id as "journeyId", f.reference_no as "referenceNo", f.first_refused_at as "firstRefusedAt",
  f.last_refused_at as "lastRefusedAt", f.deliveries`

/** SQL: the rows of `refusals` that are looked through: the table has no index on names. */
export const REFUSALS_READ =
  '(select * from refusals where made_up_at is null order by last_refused_at desc limit 5000)'

/** @param hashes in the order of the names; null for a name that is no event key */
export async function findRefused(
  { pool }: Db,
  names: readonly string[],
  hashes: readonly (Buffer | null)[],
): Promise<Of<RefusedEvent>[]> {
  const { rows } = await pool.query<Of<RefusedEvent>>(
    `select wanted.n::int - 1 as index, ${REFUSED}
    from ${REFUSALS_READ} as f
    join unnest($1::text[], $2::bytea[]) with ordinality as wanted(name, hash, n)
      on f.event_key = wanted.hash or wanted.name in (f.event_id, f.journey_id, f.reference_no)
    where not ${HAS_COME}
    order by 1, f.last_refused_at desc`,
    [textArray(names), byteaArray(hashes)],
  )
  return rows
}
