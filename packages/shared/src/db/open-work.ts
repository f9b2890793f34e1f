import type { Connection } from './pool.ts'

/** What is left to do or to look at, each count up to 10,000. */
export type OpenWork = {
  readonly letters: readonly { state: string; reason: string; count: number }[]
  readonly journeys: number
  readonly erasures: number
  /** Entries of drift that nobody has acknowledged. */
  readonly drifts: number
  /** The age of the first refused event of each environment that has not come again, ms. */
  readonly refusals: readonly { environment: string; ageMs: number }[]
}

const MOST = 10_000

// Each goes by an index and ends at its limit.
const LETTERS = ['open', 'replaying']
  .map((state) => `(select state, reason from dead_letters where state = '${state}' limit ${MOST})`)
  .join(' union all ')
const WORK = `select (select count(*) from (select from journeys where needs_attention is not null
    limit ${MOST}) as found)::float8 as journeys,
  (select count(*) from (select from erasures where receipt is null limit ${MOST}) as found)::float8 as erasures,
  (select count(*) from drifts where acknowledged_at is null)::float8 as drifts`

/** @param sinceMs only refused events that were first refused within this time: the sender still tries these */
export async function readOpenWork(connection: Connection, sinceMs: number): Promise<OpenWork> {
  const [letters, work, refusals] = await Promise.all([
    connection.query<OpenWork['letters'][number]>(
      `select state, reason, count(*)::float8 as count from (${LETTERS}) as found group by state, reason`,
    ),
    connection.query<Pick<OpenWork, 'journeys' | 'erasures' | 'drifts'>>(WORK),
    // What was first refused within this time was last refused within it as well, and that has an index.
    connection.query<OpenWork['refusals'][number]>(
      `select environment, date_part('epoch', now() - min(first_refused_at)) * 1000 as "ageMs"
        from (select environment, first_refused_at from refusals where made_up_at is null
          and last_refused_at > now() - $1::float8 * interval '1 millisecond'
          and first_refused_at > now() - $1::float8 * interval '1 millisecond'
          order by last_refused_at limit ${MOST}) as open
        group by environment`,
      [sinceMs],
    ),
  ])
  const { journeys = 0, erasures = 0, drifts = 0 } = work.rows[0] ?? {}
  return { letters: letters.rows, journeys, erasures, drifts, refusals: refusals.rows }
}
