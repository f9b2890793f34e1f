import type { Environment } from '../envelope.ts'
import type { Journey } from '../journey/fold.ts'
import { float8Array, textArray } from './array.ts'
import type { Connection } from './pool.ts'

export type JourneyName = { readonly environment: Environment; readonly journeyId: string }

/** A row of `journeys` as it is to be. */
export type JourneyState = {
  readonly name: JourneyName
  readonly journey: Journey
  readonly told: string | null
}

// Each name is looked up by itself, whatever the planner thinks of the table: a plan that was made while the table was
// small would go through all of it for each batch.
export const WANTED = 'unnest($1::text[], $2::text[]) with ordinality as wanted(environment, journey_id, n)'
const OF_WANTED = 'j.environment = wanted.environment and j.journey_id = wanted.journey_id'

export type JourneyRow = Journey & {
  readonly told: string | null
  /** Where the row is, and which version of it: its `ctid` and `xmin`. */
  readonly place: string
  readonly version: string
}

const ROW = `select reference_no as "referenceNo", stage, system_decision as "systemDecision",
    manual_decision as "manualDecision", final_decision as "finalDecision", aml_version::float8 as "amlVersion",
    resubmission, renewal, events, round(extract(epoch from first_event_at) * 1000)::float8 as "firstEventAt",
    round(extract(epoch from last_event_at) * 1000)::float8 as "lastEventAt", needs_attention as "needsAttention",
    told, ctid as place, xmin as version
  from journeys j where ${OF_WANTED}`

/**
 * Reads rows as they are, without locking them.
 *
 * @returns for each, in order; `new` has no row and no events, but for what this transaction has inserted; `unknown` has
 * events although somebody has deleted its row
 */
export async function readJourneys(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<(JourneyRow | 'new' | 'unknown')[]> {
  if (names.length === 0) return []
  const { rows } = await connection.query<JourneyRow & { readonly isOrphan: boolean | null }>({
    name: 'read_journey_rows',
    text: `select row.*, stored.found as "isOrphan" from ${WANTED} left join lateral (${ROW}) as row on true
      left join lateral (
        select true as found from events e where row.place is null and e.journey_id = wanted.journey_id
          and e.environment = wanted.environment and e.xmin <> pg_current_xact_id()::xid limit 1) as stored on true
      order by n`,
    values: columnsOf(names),
  })
  return rows.map((row) => (row.place !== null ? row : row.isOrphan ? 'unknown' : 'new'))
}

const FIELDS = `$1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::text[],
  $9::float8[], $10::float8[], $11::float8[], $12::text[], $13::text[]`
const FIELD_NAMES = 'ref, stage, sd, md, fd, aml, resub, renewal, n, first, last, attention, told'

function fieldsOf(states: readonly JourneyState[]): unknown[] {
  const texts = (pick: (journey: Journey) => string | null) =>
    textArray(states.map(({ journey }) => pick(journey)))
  const numbers = (pick: (journey: Journey) => number | null) =>
    float8Array(states.map(({ journey }) => pick(journey)))
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
    textArray(states.map(({ told }) => told)),
  ]
}

const MAKE = `
insert into journeys (reference_no, stage, system_decision, manual_decision, final_decision, aml_version, resubmission,
  renewal, events, first_event_at, last_event_at, needs_attention, told, updated_at, environment, journey_id)
select ref, stage, sd, md, fd, aml, resub, renewal, n, to_timestamp(first / 1000), to_timestamp(last / 1000), attention,
  told, clock_timestamp(), environment, journey_id
from unnest(${FIELDS}, $14::text[], $15::text[]) as t(${FIELD_NAMES}, environment, journey_id)
order by environment, journey_id
on conflict do nothing
returning environment, journey_id as "journeyId"`

// The version as well: a place may belong to another row by now, where the one that was read is gone.
const UPDATE = `
update journeys j set reference_no = t.ref, stage = t.stage, system_decision = t.sd, manual_decision = t.md,
  final_decision = t.fd, aml_version = t.aml, resubmission = t.resub, renewal = t.renewal, events = t.n,
  first_event_at = to_timestamp(t.first / 1000), last_event_at = to_timestamp(t.last / 1000), needs_attention = t.attention,
  told = t.told, updated_at = clock_timestamp()
from unnest(${FIELDS}, $14::text[], $15::text[]) as t(${FIELD_NAMES}, place, version)
where j.ctid = t.place::tid and j.xmin = t.version::xid`

/** @returns for each, in order, whether this has made its row; others have been made meanwhile by somebody else */
export async function makeJourneys(
  connection: Connection,
  states: readonly JourneyState[],
): Promise<boolean[]> {
  if (states.length === 0) return []
  const { rows } = await connection.query<JourneyName>({
    name: 'make_journeys',
    text: MAKE,
    values: [...fieldsOf(states), ...columnsOf(states.map(({ name }) => name))],
  })
  const made = new Set(rows.map(nameOf))
  return states.map(({ name }) => made.has(nameOf(name)))
}

/**
 * Locks rows until the transaction ends.
 *
 * @param names sorted, which is the order of the locks
 * @returns the rows in order
 * @throws where a row can be neither made nor found
 */
export async function lockJourneys(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<JourneyRow[]> {
  if (names.length === 0) return []
  const { rows } = await connection.query<JourneyRow>({
    name: 'lock_journeys',
    text: `select row.* from ${WANTED}, lateral (${ROW} for update) as row order by n`,
    values: columnsOf(names),
  })
  if (rows.length < names.length) throw new Error('the rows of some journeys can be neither made nor locked')
  return rows
}

/**
 * Changes rows, in the order in which they are given.
 *
 * @returns how many; those are left alone that somebody has changed since they were read
 */
export async function updateJourneys(
  connection: Connection,
  states: readonly (JourneyState & Pick<JourneyRow, 'place' | 'version'>)[],
): Promise<number> {
  if (states.length === 0) return 0
  const places = textArray(states.map(({ place }) => place))
  const versions = textArray(states.map(({ version }) => version))
  const values = [...fieldsOf(states), places, versions]
  const { rowCount } = await connection.query({ name: 'update_journeys', text: UPDATE, values })
  return rowCount ?? 0
}

export function columnsOf(names: readonly JourneyName[]): [environments: Buffer, journeyIds: Buffer] {
  return [
    textArray(names.map(({ environment }) => environment)),
    textArray(names.map(({ journeyId }) => journeyId)),
  ]
}

/** One text for a journey's two names, to compare and look up. */
export function nameOf({ environment, journeyId }: JourneyName): string {
  return `${environment} ${journeyId}`
}
