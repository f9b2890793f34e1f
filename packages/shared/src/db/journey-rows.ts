import type { Journey } from '../journey/fold.ts'
import { float8Array, textArray } from './array.ts'
import { DIGEST, JOURNEY_COLUMNS, type JourneyColumn } from './journey-columns.ts'
import type { Connection } from './pool.ts'

export type JourneyName = { readonly environment: string; readonly journeyId: string }

/** A row of `journeys` to be written. */
export type JourneyState = {
  readonly name: JourneyName
  readonly journey: Journey
  readonly digest: string | null
}

// A lateral subquery looks each name up by its key, whatever the planner thinks of the table. A plan that was made
// while the table was small would read the whole table for each batch.
export const WANTED = 'unnest($1::text[], $2::text[]) with ordinality as wanted(environment, journey_id, n)'
export const OF_WANTED = 'j.environment = wanted.environment and j.journey_id = wanted.journey_id'

export type JourneyRow = Journey & {
  readonly digest: string | null
  /** Its `ctid`, which stays as long as the row is locked. */
  readonly place: string
}

const list = (texts: Iterable<string>) => [...texts].join(', ')
const columns = (text: (column: JourneyColumn, index: number) => string) => list(JOURNEY_COLUMNS.map(text))
const read = ({ name, type }: JourneyColumn) => {
  if (type === 'time') return `round(date_part('epoch', ${name}) * 1000)`
  return type === 'bigint' ? `${name}::float8` : name
}

const ROW = `select ${columns((column) => `${read(column)} as "${column.field}"`)}, ${DIGEST} as digest,
    ctid as place
  from journeys j where ${OF_WANTED}`

/**
 * - `known`: the journey has a row;
 * - `new`: it has none, and only this transaction has inserted events of it;
 * - `unknown`: somebody has deleted its row, and it may have other events.
 */
export type JourneyPresence = 'known' | 'new' | 'unknown'

/** @returns for each name, in order; nothing is locked */
export async function findJourneyRows(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<JourneyPresence[]> {
  if (names.length === 0) return []
  const { rows } = await connection.query<{ n: number; isLost: boolean | null }>({
    name: 'find_journey_rows',
    text: `select n::int, lost.found as "isLost" from ${WANTED}
      left join lateral (select true as found from journeys j where ${OF_WANTED}) as row on true
      left join lateral (select true as found from lost_journeys j where row.found is null and ${OF_WANTED}) as lost on true
      where row.found is null`,
    values: columnsOf(names),
  })
  const found = names.map((): JourneyPresence => 'known')
  for (const { n, isLost } of rows) found[n - 1] = isLost ? 'unknown' : 'new'
  return found
}

// Rows to be written are sent as an array for each column, and one for the digests. Times are sent as ms since 1970.
const SENT = `${columns(({ type }, index) => `$${index + 1}::${type === 'text' ? 'text' : 'float8'}[]`)},
  $${JOURNEY_COLUMNS.length + 1}::text[]`
const SENT_NAMES = [...JOURNEY_COLUMNS.map(({ name }) => name), DIGEST]
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
from unnest(${SENT}, $${SENT_NAMES.length + 1}::text[], $${SENT_NAMES.length + 2}::text[])
  as t(${list(SENT_NAMES)}, environment, journey_id)
order by environment, journey_id
on conflict do nothing
returning environment, journey_id as "journeyId"`

const UPDATE = `
update journeys j set ${columns((column) => `${column.name} = ${write(column)}`)}, ${DIGEST} = t.${DIGEST},
  updated_at = clock_timestamp()
from unnest(${SENT}, $${SENT_NAMES.length + 1}::text[]) as t(${list(SENT_NAMES)}, place)
where j.ctid = t.place::tid`

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

/** Reads rows without a lock. @returns in order; undefined where there is none */
export async function readJourneys(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<(Journey | undefined)[]> {
  const { rows } = await connection.query<{ n: number } & JourneyRow>(
    `select n::int, row.* from ${WANTED}, lateral (${ROW}) as row`,
    columnsOf(names),
  )
  const found: (Journey | undefined)[] = names.map(() => undefined)
  for (const { n, digest: _digest, place: _place, ...journey } of rows) found[n - 1] = journey
  return found
}

/** Updates rows that the transaction has locked. */
export async function updateJourneys(
  connection: Connection,
  states: readonly (JourneyState & Pick<JourneyRow, 'place'>)[],
): Promise<void> {
  if (states.length === 0) return
  const values = [...sent(states), textArray(states.map(({ place }) => place))]
  await connection.query({ name: 'update_journeys', text: UPDATE, values })
}

/** Longer names do not fit into an index: such a former number is not kept, and the event lands all the same. */
const MOST_BYTES = 2_500

/** Adds reference numbers of journeys whose rows the transaction has locked. */
export async function keepFormerReferences(
  connection: Connection,
  references: readonly (JourneyName & { readonly referenceNo: string })[],
): Promise<void> {
  if (references.length === 0) return
  await connection.query({
    name: 'keep_former_references',
    text: `insert into former_references (environment, journey_id, reference_no)
      select * from unnest($1::text[], $2::text[], $3::text[]) as t(environment, journey_id, reference_no)
      where octet_length(journey_id) + octet_length(reference_no) < ${MOST_BYTES} on conflict do nothing`,
    values: [...columnsOf(references), textArray(references.map(({ referenceNo }) => referenceNo))],
  })
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
