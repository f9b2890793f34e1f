import { SLICE } from './events-page.ts'
import type { Db } from './pool.ts'
import { LETTER_SUMMARY, type LetterSummary } from './search-others.ts'

/** Which dead letters are listed. */
export type LetterView = 'open' | 'conflicts' | 'replayed'
const VIEWS: Readonly<Record<LetterView, string>> = {
  open: "state = 'open'",
  conflicts: "reason = 'conflict'",
  replayed: 'replays > 0',
}

/** Dead letters, newest first. @returns `lookedTo`: the id of the last one that was looked at, if there may be more */
export async function readLettersPage(
  { pool }: Db,
  view: LetterView,
  filters: {
    readonly environment?: string | undefined
    readonly journeyId?: string | undefined
    readonly referenceNo?: string | undefined
  },
  { limit, before }: { readonly limit: number; readonly before?: number | undefined },
): Promise<{ letters: LetterSummary[]; lookedTo: number | null }> {
  const values: unknown[] = [before ?? Number.MAX_SAFE_INTEGER, limit]
  const { environment, journeyId: journey_id, referenceNo: reference_no } = filters
  const equal = Object.entries({ environment, journey_id, reference_no }).flatMap(([column, given]) =>
    given === undefined ? [] : [`${column} = $${values.push(given)}::text`],
  )
  const indexed = view === 'open' || equal.length > 0
  const which = [VIEWS[view], ...equal].join(' and ')
  const { rows } = await pool.query<LetterSummary & { edge: number | null }>(
    `with slice as (select * from dead_letters where id < $1::bigint ${indexed ? `and ${which}` : ''} order by id desc limit ${SLICE}),
      page as (select * from slice where ${which} order by id desc limit $2::int)
    select ${LETTER_SUMMARY}, edge.id::float8 as edge from (
      select case when (select count(*) from page) < $2::int and (select count(*) from slice) = ${SLICE}
        then (select min(id) from slice) end as id) as edge
    left join page d on true order by d.id desc`,
    values,
  )
  const letters = rows.flatMap(({ edge: _, ...letter }) => (letter.id === null ? [] : [letter]))
  const last = letters.at(-1)?.id ?? null
  return { letters, lookedTo: letters.length === limit ? last : (rows[0]?.edge ?? null) }
}
