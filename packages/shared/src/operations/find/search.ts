import {
  findByKeys,
  findKeyStarts,
  findNeighbours,
  findReferenceStarts,
  type Neighbour,
  readEnvironments,
} from '../../db/index.ts'
import { type NamedInText, namesIn, storedId } from '../../idwise/index.ts'
import type { Stores } from '../stores.ts'
import { type Place, placeOf, type SearchHit, type SearchStatus, statusOf } from './hits.ts'
import { lookUp } from './look-up.ts'
import { readWaiting, WAITING_READ, type WaitingEvent, wordsOfWaiting } from './waiting.ts'

/** What was found for one name of a text. */
export type FoundName = NamedInText & {
  readonly status: SearchStatus
  readonly hits: readonly SearchHit[]
  /** The page that shows all of it; null if there is none. */
  readonly place: Place | null
}

export type SearchAnswer =
  | { readonly kind: 'nothing_asked' }
  /** The text has more characters than are read. */
  | { readonly kind: 'too_long'; readonly limit: number }
  /** One name. Only if nothing has it: what begins with it, at most 20, what was tried, and what is near. */
  | ({ readonly kind: 'name'; readonly starts: readonly SearchHit[] } & FoundName & Miss)
  /** A text with names, at most 200. Words that merely may be names are left out if nothing has them. */
  | {
      readonly kind: 'text'
      readonly names: readonly FoundName[]
      readonly isCut: boolean
      /** How far those that are not here were looked for, in words; empty if all are here. */
      readonly tried: readonly string[]
    }

type Miss = {
  readonly tried: readonly string[]
  /** At most three. */
  readonly nearest: readonly Neighbour[]
}

/** The longest text that a page takes, in characters. */
const SEARCH_CHARACTERS = 10_000
const MAX_NAME = 500
const SHORTEST_START = 3
const MOST_STARTS = 20
const NEAREST = 3

/**
 * Finds what a text names: one id or reference number, or any text that has some. Each table is asked once, whatever
 * the number of names, and through its indexes alone.
 */
export async function search(
  stores: Pick<Stores, 'db' | 'queue'>,
  text: string,
  limit = SEARCH_CHARACTERS,
): Promise<SearchAnswer> {
  if (text.length > limit) return { kind: 'too_long', limit }
  const whole = text.trim()
  if (whole === '') return { kind: 'nothing_asked' }
  const isOneName = !/\s/.test(whole) && whole.length <= MAX_NAME && !/^[{["]/.test(whole)
  const { names, isCut } = namesIn(whole)
  const one = {
    name: whole,
    form: names.length === 1 && names[0]?.name === whole ? names[0].form : 'any',
    isLikely: true,
  } as const
  if (isOneName) return searchName(stores, one)
  // A reference number may have blanks, if it is short.
  const isLine = whole.length <= MAX_NAME && !whole.includes('\n')
  const [found] = isLine ? await lookUpAll(stores, [one]) : []
  if (found && (found.status !== 'not_here' || names.length === 0))
    return { kind: 'name', starts: [], ...found, ...NO_MISS }
  return searchText(stores, names, isCut)
}

const NO_MISS: Miss = { tried: [], nearest: [] }

async function searchName(stores: Pick<Stores, 'db' | 'queue'>, named: NamedInText): Promise<SearchAnswer> {
  const [found] = (await lookUpAll(stores, [named])) as [FoundName]
  if (found.status !== 'not_here') return { kind: 'name', starts: [], ...found, ...NO_MISS }
  const [starts, waiting] = await Promise.all([
    findStarts(stores, named.name),
    lookThroughWaiting(stores, [named.name]),
  ])
  const tried = triedFor(named.name, waiting.words)
  const hits = waiting.of(named.name)
  const allStarts = [...starts, ...waiting.startingWith(named.name)].slice(0, MOST_STARTS)
  if (hits.length > 0) return { kind: 'name', starts: [], ...withHits(named, hits), tried, nearest: [] }
  return {
    kind: 'name',
    starts: allStarts,
    ...found,
    tried,
    nearest: allStarts.length > 0 ? [] : await nearestTo(stores, named.name),
  }
}

async function searchText(
  stores: Pick<Stores, 'db' | 'queue'>,
  names: readonly NamedInText[],
  isCut: boolean,
): Promise<SearchAnswer> {
  const found = await lookUpAll(stores, names)
  const missing = found.filter(({ status }) => status === 'not_here').map(({ name }) => name)
  const waiting = missing.length > 0 ? await lookThroughWaiting(stores, missing) : undefined
  const all = found.map((one) => {
    const hits = one.status === 'not_here' ? (waiting?.of(one.name) ?? []) : []
    return hits.length > 0 ? withHits(one, hits) : one
  })
  return {
    kind: 'text',
    names: all.filter(({ isLikely, status }) => isLikely || status !== 'not_here'),
    isCut,
    tried: waiting?.words ?? [],
  }
}

async function lookUpAll(
  stores: Pick<Stores, 'db' | 'queue'>,
  names: readonly NamedInText[],
): Promise<FoundName[]> {
  if (names.length === 0) return []
  const found = await lookUp(
    stores,
    names.map(({ name }) => name),
  )
  return names.map((named, index) => withHits(named, found[index] ?? []))
}

function withHits({ name, form, isLikely }: NamedInText, hits: readonly SearchHit[]): FoundName {
  return { name, form, isLikely, status: statusOf(hits), hits, place: placeOf(hits) }
}

/** What begins with a text: reference numbers, and event keys if it can be the start of one. */
async function findStarts({ db }: Pick<Stores, 'db'>, start: string): Promise<SearchHit[]> {
  if (start.length < SHORTEST_START) return []
  const [named, keys] = await Promise.all([
    findReferenceStarts(db, start),
    /^[0-9a-f]{8,63}$/i.test(start) ? findKeyStarts(db, start.toLowerCase()) : [],
  ])
  const { events, gone } = await findByKeys(db, keys)
  return [
    ...named.journeys.map((journey) => ({ what: 'journey', ...journey }) as const),
    ...named.letters.map((letter) => ({ what: 'dead_letter', ...letter }) as const),
    ...named.events.map((event) => ({ what: 'event', ...event }) as const),
    ...events
      .filter(({ eventKey }) => eventKey.startsWith(start.toLowerCase()))
      .map(({ index: _, ...event }) => ({ what: 'event', ...event }) as const),
    ...gone.map(({ index: _, ...event }) => ({ what: 'gone', ...event }) as const),
  ]
}

async function lookThroughWaiting(stores: Pick<Stores, 'db' | 'queue'>, names: readonly string[]) {
  const waiting = await readWaiting(stores, WAITING_READ)
  const wanted = new Set(names.map(storedId))
  const byName = new Map<string, SearchHit[]>()
  for (const event of waiting.events) {
    for (const name of namesOf(event)) {
      if (!wanted.has(name)) continue
      byName.set(name, [...(byName.get(name) ?? []), { what: 'waiting', ...event }])
    }
  }
  return {
    of: (name: string) => byName.get(storedId(name)) ?? [],
    startingWith: (start: string) =>
      start.length < SHORTEST_START
        ? []
        : waiting.events
            .filter(({ referenceNo }) => referenceNo?.startsWith(start))
            .map((event): SearchHit => ({ what: 'waiting', ...event })),
    words: wordsOfWaiting(waiting),
  }
}

function namesOf({ eventId, journeyId, referenceNo, eventKey, jobId }: WaitingEvent): string[] {
  return [eventId, journeyId, referenceNo, eventKey, jobId].filter((name) => name !== null)
}

function triedFor(name: string, waiting: readonly string[]): string[] {
  return [
    'event ids, event keys and the ids of our answers',
    'journey ids and reference numbers',
    ...(name.length < SHORTEST_START
      ? []
      : ['beginnings of reference numbers, but not of refused deliveries']),
    'dead letters',
    'refused deliveries',
    ...waiting,
  ]
}

/** Those that have the longest beginning in common with the name, at least three characters. */
async function nearestTo({ db }: Pick<Stores, 'db'>, name: string): Promise<Neighbour[]> {
  const around = await findNeighbours(db, storedId(name), await readEnvironments(db))
  const shared = (other: string) => {
    let length = 0
    while (length < name.length && name[length]?.toLowerCase() === other[length]?.toLowerCase()) length++
    return length
  }
  return around
    .map((neighbour) => ({ neighbour, length: shared(neighbour.name) }))
    .filter(({ length }) => length >= SHORTEST_START)
    .sort((a, b) => b.length - a.length)
    .slice(0, NEAREST)
    .map(({ neighbour }) => neighbour)
}
