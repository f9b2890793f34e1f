import { textArray } from './array.ts'
import { type EventFilters, SLICE } from './events-page.ts'
import type { Db } from './pool.ts'
import { LETTER_SUMMARY, type LetterSummary } from './search-others.ts'

/** Which dead letters are listed. */
export type LetterView = 'open' | 'conflicts' | 'replayed'
const VIEWS: Readonly<Record<LetterView, string>> = {
  open: "d.state = 'open'",
  conflicts: "d.reason = 'conflict'",
  replayed: 'd.replays > 0',
}

type LetterFilters = Pick<EventFilters, 'environment' | 'journey' | 'referenceNo' | 'ofReference'> & {
  readonly eventId?: string | undefined
  /** Failed last since then, and before `to`. */
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  /** Of what no column has. */
  readonly isWanted?: ((raw: Buffer) => boolean) | undefined
}

/** The number of a dead letter, and when it failed first: its place among events. */
export type LetterPlace = { readonly id: number; readonly at: Date }

export type LettersRead = {
  readonly letters: LetterSummary[]
  /** The last one that was looked at, if there may be more. */
  readonly lookedTo: LetterPlace | null
  /** How many are looked through at most. */
  readonly slice: number
}

type Page = {
  readonly limit: number
  /** Only older ones than this. */
  readonly before?: number | undefined
  /** Only newer ones than this. */
  readonly after?: number | undefined
}

/** A body has up to 256 KiB. */
const BODIES = 50
const BODIES_READ = 1_000

/** Dead letters, newest first. */
export async function readLettersPage(
  db: Db,
  view: LetterView,
  { isWanted, ...filters }: LetterFilters,
  page: Page,
): Promise<LettersRead> {
  if (!isWanted) return { ...(await readSlice(db, view, filters, page)), slice: SLICE }
  const letters: LetterSummary[] = []
  let lookedTo: LetterPlace | null = null
  for (let read = 0; read < BODIES_READ; read += BODIES) {
    const before: number | undefined = lookedTo?.id ?? page.before
    const slice = await readSlice(db, view, filters, { ...page, before, limit: BODIES })
    const bodies = await readBodies(db, slice.letters)
    for (const letter of slice.letters) {
      const body = bodies.get(letter.id)
      if (!body || !isWanted(body)) continue
      letters.push(letter)
      if (letters.length === page.limit) return { letters, lookedTo: placeOf(letter), slice: BODIES_READ }
    }
    lookedTo = slice.lookedTo
    if (!lookedTo || slice.letters.length < BODIES) break
  }
  return { letters, lookedTo, slice: BODIES_READ }
}

async function readSlice(
  { pool }: Db,
  view: LetterView,
  filters: Omit<LetterFilters, 'isWanted'>,
  { limit, before, after }: Page,
): Promise<Omit<LettersRead, 'slice'>> {
  const values: unknown[] = [before ?? Number.MAX_SAFE_INTEGER, limit]
  const value = (given: unknown, type: string) => `$${values.push(given)}::${type}`
  const { environment, journey, eventId, referenceNo, ofReference, from, to } = filters
  const equal = (column: string, given: string | undefined) =>
    given === undefined ? [] : [`d.${column} = ${value(given, 'text')}`]
  const named = [
    ...equal('journey_id', journey),
    ...equal('event_id', eventId),
    ...equal('reference_no', referenceNo),
    ...(ofReference
      ? [
          `(d.reference_no = ${value(ofReference.referenceNo, 'text')} or d.journey_id = any(${value(textArray(ofReference.journeys), 'text[]')}))`,
        ]
      : []),
  ]
  const indexed = view === 'open' || named.length > 0 ? [VIEWS[view], ...named] : []
  const bounds = ['d.id < $1::bigint', ...(after === undefined ? [] : [`d.id > ${value(after, 'bigint')}`])]
  const others = [
    VIEWS[view],
    ...equal('environment', environment),
    ...(from ? [`d.last_failed_at >= ${value(from, 'timestamptz')}`] : []),
    ...(to ? [`d.last_failed_at < ${value(to, 'timestamptz')}`] : []),
  ]
  const slice = `select d.* from dead_letters d where ${[...bounds, ...indexed].join(' and ')} order by d.id desc`
  const { rows } = await pool.query<LetterSummary & { edge: number | null; edgeAt: Date | null }>(
    `with page as materialized (
      select d.* from (${slice} limit ${SLICE}) as d where ${others.join(' and ')} order by d.id desc limit $2::int)
    select ${LETTER_SUMMARY}, edge.id::float8 as edge, edge.first_failed_at as "edgeAt" from (select) as one
      left join lateral (select id, first_failed_at from (${slice} offset ${SLICE - 1} limit 1) as last
        where (select count(*) from page) < $2::int) as edge on true
      left join page d on true order by d.id desc`,
    values,
  )
  const letters = rows.flatMap(({ edge: _, edgeAt: __, ...letter }) => (letter.id === null ? [] : [letter]))
  const last = letters.at(-1)
  if (last && letters.length === limit) return { letters, lookedTo: placeOf(last) }
  const [{ edge, edgeAt } = { edge: null, edgeAt: null }] = rows
  return { letters, lookedTo: edge !== null && edgeAt ? { id: edge, at: edgeAt } : null }
}

function placeOf({ id, firstFailedAt }: LetterSummary): LetterPlace {
  return { id, at: firstFailedAt }
}

async function readBodies({ pool }: Db, letters: readonly LetterSummary[]): Promise<Map<number, Buffer>> {
  const { rows } = await pool.query<{ id: number; raw: Buffer }>(
    'select id::float8 as id, raw from dead_letters where id = any($1::bigint[])',
    [letters.map(({ id }) => id)],
  )
  return new Map(rows.map(({ id, raw }) => [id, raw]))
}
