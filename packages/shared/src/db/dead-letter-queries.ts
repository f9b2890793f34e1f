import { eq } from 'drizzle-orm'
import type { DeadLetterState } from './dead-letter-acts.ts'
import { type WithFailures, withFailures } from './letter-failures.ts'
import { type LetterFilter, whereLetter } from './letter-filter.ts'
import type { Connection, Db } from './pool.ts'
import { deadLetters } from './schema.ts'
import { LETTER_SUMMARY, type LetterSummary } from './search-others.ts'

export type DeadLetter = Omit<typeof deadLetters.$inferSelect, 'earlierFailures'> & WithFailures
export type DeadLetterSummary = LetterSummary & Pick<DeadLetter, 'errorClass' | 'fingerprint' | 'operationId'>

const SUMMARY = `${LETTER_SUMMARY}, d.error_class as "errorClass", d.fingerprint, d.operation_id::float8 as "operationId"`

export type LetterQuery = {
  /** Undefined: of every state. */
  readonly state?: DeadLetterState | undefined
  readonly filter?: LetterFilter
  /** Only later ones than this. */
  readonly after?: number | undefined
}

function whereOf({ state, filter = {}, after }: LetterQuery, values: unknown[]): string {
  const ofState = state === undefined ? 'true' : `d.state = $${values.push(state)}`
  const later = after === undefined ? 'true' : `d.id > $${values.push(after)}`
  return `${ofState} and ${later} and ${whereLetter(filter, values)}`
}

/** Lists dead letters, newest first. `before` is the last id of the page before. */
export async function listDeadLetters(
  { pool }: Pick<Db, 'pool'>,
  { limit, before, ...query }: LetterQuery & { limit: number; before?: number | undefined },
): Promise<DeadLetterSummary[]> {
  const values: unknown[] = [limit]
  const further = before === undefined ? 'true' : `d.id < $${values.push(before)}`
  const { rows } = await pool.query<DeadLetterSummary>(
    `select ${SUMMARY} from dead_letters d where ${whereOf(query, values)} and ${further} order by d.id desc limit $1`,
    values,
  )
  return rows
}

/** A count that was ended says that there are at least so many. */
export type LetterCount = { readonly count: number; readonly isAtLeast: boolean }

export const MOST_COUNTED = 200_000

export async function countDeadLetters(
  { pool }: Pick<Db, 'pool'>,
  query: LetterQuery,
  most = MOST_COUNTED,
): Promise<LetterCount> {
  const values: unknown[] = [most + 1]
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::float8 as count from (
      select from dead_letters d where ${whereOf(query, values)} limit $1) as counted`,
    values,
  )
  const count = rows[0]?.count as number
  return { count: Math.min(count, most), isAtLeast: count > most }
}

/** What an operation on these letters would be about. */
export type LetterSet = {
  readonly count: number
  /** Different journeys that they belong to. */
  readonly journeys: number
  readonly maxId: number
  /** At most 20. */
  readonly fingerprints: readonly string[]
}

const FINGERPRINTS = 20

/** Counts exactly, however long that takes. */
export async function measureDeadLetters(connection: Connection, query: LetterQuery): Promise<LetterSet> {
  const values: unknown[] = []
  const { rows } = await connection.query<LetterSet>(
    `with chosen as materialized (
      select d.id, d.fingerprint, d.environment, d.journey_id from dead_letters d where ${whereOf(query, values)})
    select count(*)::float8 as count, coalesce(max(id), 0)::float8 as "maxId",
      (select count(*)::float8 from (select from chosen where journey_id is not null
        group by environment, journey_id) as each) as journeys,
      array(select fingerprint from chosen group by 1 order by count(*) desc, 1 limit ${FINGERPRINTS}) as fingerprints
    from chosen`,
    values,
  )
  return rows[0] as LetterSet
}

export async function getDeadLetter(
  { query }: Pick<Db, 'query'>,
  id: number,
): Promise<DeadLetter | undefined> {
  const [letter] = await query.select().from(deadLetters).where(eq(deadLetters.id, id))
  return letter && withFailures(letter)
}
