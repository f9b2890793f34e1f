import type { Environment } from '../envelope.ts'
import type { Journey } from '../journey/fold.ts'
import { float8Array, textArray } from './array.ts'
import { DIGEST, JOURNEY_COLUMNS, type JourneyColumn } from './journey-columns.ts'
import type { Connection } from './pool.ts'

export type JourneyName = { readonly environment: Environment; readonly journeyId: string }

/** A row of `journeys` to be written. */
export type JourneyState = {
  readonly name: JourneyName
  readonly journey: Journey
  readonly digest: string | null
}

// A lateral subquery looks each name up by its key, whatever the planner thinks of the table. A plan that was made while
// the table was small would read the whole table for each batch.
export const WANTED = 'unnest($1::text[], $2::text[]) with ordinality as wanted(environment, journey_id, n)'
const OF_WANTED = 'j.environment = wanted.environment and j.journey_id = wanted.journey_id'

export type JourneyRow = Journey & {
  readonly digest: string | null
  /** Where the row is, and which version of it: its `ctid` and `xmin`. */
  readonly place: string
  readonly version: string
}

const list = (texts: Iterable<string>) => [...texts].join(', ')
const columns = (text: (column: JourneyColumn, index: number) => string) => list(JOURNEY_COLUMNS.map(text))
const read = ({ name, type }: JourneyColumn) => {
  if (type === 'time') return `round(extract(epoch from ${name}) * 1000)::float8`
  return type === 'bigint' ? `${name}::float8` : name
}

const ROW = `select ${columns((column) => `${read(column)} as "${column.field}"`)}, ${DIGEST} as digest,
    ctid as place, xmin as version
  from journeys j where ${OF_WANTED}`

/**
 * Reads rows without locking them.
 *
 * @returns in the order of the names: the row; `new` if there is none and only this transaction has inserted events of the
 * journey; `unknown` if there are other events although somebody has deleted the row
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

// Rows to be written are sent as an array for each column, and one for the digests. Times are sent as ms since 1970.
const SENT = `${columns(({ type }, index) => `$${index + 1}::${type === 'text' ? 'text' : 'float8'}[]`)},
  $${JOURNEY_COLUMNS.length + 1}::text[]`
const SENT_NAMES = [...JOURNEY_COLUMNS.map(({ name }) => name), DIGEST]
const TWO_MORE = `$${SENT_NAMES.length + 1}::text[], $${SENT_NAMES.length + 2}::text[]`
const write = ({ name, type }: JourneyColumn) =>
  type === 'time' ? `to_timestamp(t.${name} / 1000)` : `t.${name}`

function sent(states: readonly JourneyState[]): Buffer[] {
  const arrays = JOURNEY_COLUMNS.map(({ field, type }) => {
    const values = states.map(({ journey }) => journey[field])
    return type === 'text' ? textArray(values as (string | null)[]) : float8Array(values as (number | null)[])
  })
  return [...arrays, textArray(states.map(({ digest }) => digest))]
}

const MAKE = `
insert into journeys (${list(SENT_NAMES)}, updated_at, environment, journey_id)
select ${columns(write)}, t.${DIGEST}, clock_timestamp(), t.environment, t.journey_id
from unnest(${SENT}, ${TWO_MORE}) as t(${list(SENT_NAMES)}, environment, journey_id)
order by environment, journey_id
on conflict do nothing
returning environment, journey_id as "journeyId"`

// The version as well: if the row that was read is gone, its place may hold another row by now.
const UPDATE = `
update journeys j set ${columns((column) => `${column.name} = ${write(column)}`)}, ${DIGEST} = t.${DIGEST},
  updated_at = clock_timestamp()
from unnest(${SENT}, ${TWO_MORE}) as t(${list(SENT_NAMES)}, place, version)
where j.ctid = t.place::tid and j.xmin = t.version::xid`

/** @returns in the order of the states: whether this made the row; if not, another transaction has made it meanwhile */
export async function makeJourneys(
  connection: Connection,
  states: readonly JourneyState[],
): Promise<boolean[]> {
  if (states.length === 0) return []
  const { rows } = await connection.query<JourneyName>({
    name: 'make_journeys',
    text: MAKE,
    values: [...sent(states), ...columnsOf(states.map(({ name }) => name))],
  })
  const made = new Set(rows.map(nameOf))
  return states.map(({ name }) => made.has(nameOf(name)))
}

/**
 * Locks rows until the transaction ends.
 *
 * @param names sorted, which is the order of the locks
 * @returns the rows in order
 * @throws if a row can be neither made nor found
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
 * Updates rows in the order in which they are given. A row that has changed since it was read is left alone.
 *
 * @returns how many rows were updated
 */
export async function updateJourneys(
  connection: Connection,
  states: readonly (JourneyState & Pick<JourneyRow, 'place' | 'version'>)[],
): Promise<number> {
  if (states.length === 0) return 0
  const places = textArray(states.map(({ place }) => place))
  const versions = textArray(states.map(({ version }) => version))
  const values = [...sent(states), places, versions]
  const { rowCount } = await connection.query({ name: 'update_journeys', text: UPDATE, values })
  return rowCount ?? 0
}

export function columnsOf(names: readonly JourneyName[]): [environments: Buffer, journeyIds: Buffer] {
  return [
    textArray(names.map(({ environment }) => environment)),
    textArray(names.map(({ journeyId }) => journeyId)),
  ]
}

/** One text that names a journey, to compare and to look up. */
export function nameOf({ environment, journeyId }: JourneyName): string {
  return `${environment} ${journeyId}`
}
