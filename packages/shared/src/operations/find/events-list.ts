import {
  type EventFilters,
  type EventSource,
  type EventsRead,
  findJourneysOf,
  keysOfId,
  type LetterView,
  readEnvironments,
  readEventsPage,
  readLettersPage,
  SLICE,
} from '../../db/index.ts'
import { storedId } from '../../idwise/index.ts'
import type { Stores } from '../stores.ts'
import { readEventCursor, readLetterCursor, writeCursor } from './cursor.ts'
import type { EventsQuery, EventView } from './events-query.ts'
import { readFragment } from './fragment.ts'
import type { SearchHit } from './hits.ts'
import { readWaiting } from './waiting.ts'

export type EventsPage = {
  readonly kind: 'page'
  readonly items: readonly SearchHit[]
  /** `before` of the next page; null if there is none. */
  readonly next: string | null
  /** The place of the newest event, to ask later what came since; null if the list has no order of landing. */
  readonly top: string | null
  /** How far was looked, in words; null if all was looked at. */
  readonly looked: string | null
}

/** `refused`: the query cannot be answered, and `words` says what to do. */
export type EventsListed = EventsPage | { readonly kind: 'refused'; readonly words: string }

type Refused = Extract<EventsListed, { kind: 'refused' }>

const PAGE = 50
const WAITING_SHOWN = 100
/** More newer events than this are not counted. */
export const NEWER_COUNTED = 100

const LETTERS: Partial<Record<EventView, LetterView>> = {
  failed: 'open',
  conflicts: 'conflicts',
  replayed: 'replayed',
}

/**
 * Lists events, the last landed first; of a view, those that wait or have failed. A statement looks at 20,000 events at
 * most: if a filter finds too few among them, the page says how far it looked, and `next` goes on from there.
 */
export async function listEvents(
  stores: Pick<Stores, 'db' | 'queue'>,
  query: EventsQuery,
): Promise<EventsListed> {
  const view = query.view ?? 'all'
  if (view === 'waiting') return listWaiting(stores, query)
  const letters = LETTERS[view]
  if (letters) return listLetters(stores, letters, query)
  const limit = query.limit ?? PAGE
  const beyond = query.before === undefined ? undefined : readEventCursor(query.before)
  if (query.before !== undefined && !beyond) return NO_PLACE
  const asked = await readQuery(stores, query)
  if (asked.kind === 'refused') return asked
  const read = await readEventsPage(stores.db, { ...asked, limit, beyond })
  const { events, lookedTo } = read
  const newest = events[0]?.place
  return {
    kind: 'page',
    items: events.map(({ place: _, ...event }) => ({ what: 'event', ...event })),
    next: lookedTo && writeCursor(lookedTo),
    top: newest && !beyond ? writeCursor(newest) : null,
    looked: lookedIn(read, limit),
  }
}

/** How many events of a query have landed since a page was read (`top`), at most 100; undefined: `top` is no place. */
export async function countNewer(
  stores: Pick<Stores, 'db' | 'queue'>,
  query: EventsQuery,
  top: string,
): Promise<number | undefined> {
  const beyond = readEventCursor(top)
  const asked = beyond && (await readQuery(stores, query))
  if (asked?.kind !== 'asked') return undefined
  const { events } = await readEventsPage(stores.db, {
    ...asked,
    limit: NEWER_COUNTED,
    beyond,
    towards: 'newer',
  })
  return events.length
}

const NO_PLACE: Refused = {
  kind: 'refused',
  words: 'The parameter "before" is no place in this list. Begin with the first page.',
}

type AskedEvents = { readonly kind: 'asked'; readonly source: EventSource; readonly filters: EventFilters }

/** Finds the index that answers a query, and leaves the rest of it as filters. */
export async function readQuery(
  { db }: Pick<Stores, 'db'>,
  query: EventsQuery,
): Promise<AskedEvents | Refused> {
  const fragment = query.body === undefined ? {} : readFragment(query.body)
  if (!fragment) {
    return {
      kind: 'refused',
      words: 'The parameter "body" is no JSON object such as {"referenceNo":"A-1"}.',
    }
  }
  const { eventId, journeyId, referenceNo, body, ...columns } = fragment
  const filters: EventFilters = {
    environment: query.environment,
    decision: query.decision,
    via: query.via,
    hasDuplicates: query.duplicates === 'yes' || query.view === 'duplicates',
    from: query.from,
    to: query.to,
    ...columns,
    kind: query.kind ?? columns.kind,
    body,
  }
  const journey = query.journey ?? journeyId
  const reference = query.reference ?? referenceNo
  const isPossible =
    isSame(query.journey, journeyId) &&
    isSame(query.reference, referenceNo) &&
    isSame(query.kind, columns.kind)
  if (!isPossible) return { kind: 'asked', source: NOTHING, filters }
  if (eventId !== undefined) {
    const keys = keysOfId(eventId, await readEnvironments(db))
    return {
      kind: 'asked',
      source: { from: 'keys', keys },
      filters: {
        ...filters,
        journey: journey && storedId(journey),
        reference: reference && storedId(reference),
      },
    }
  }
  if (journey !== undefined) {
    return {
      kind: 'asked',
      source: { from: 'journeys', ids: [storedId(journey)], referenceNo: null },
      filters: { ...filters, reference: reference && storedId(reference) },
    }
  }
  if (reference !== undefined) {
    const stored = storedId(reference)
    const journeys = await findJourneysOf(db, [stored], await readEnvironments(db))
    const ids = journeys.filter((found) => found.referenceNo === stored).map((found) => found.journeyId)
    return { kind: 'asked', source: { from: 'journeys', ids, referenceNo: stored }, filters }
  }
  const isUnrecognised = query.view === 'unrecognised' || filters.kind === 'unrecognised'
  return { kind: 'asked', source: { from: isUnrecognised ? 'unrecognised' : 'time' }, filters }
}

/** Two filters name different things. */
const NOTHING: EventSource = { from: 'keys', keys: [] }

function isSame(one: string | undefined, other: string | undefined): boolean {
  return one === undefined || other === undefined || storedId(one) === storedId(other)
}

function lookedIn({ events, lookedTo }: EventsRead, limit: number): string | null {
  if (!lookedTo || events.length === limit) return null
  const back = new Date(Number(BigInt(lookedTo.us) / 1_000n)).toISOString().replace('T', ' ').slice(0, 16)
  return `Looked through ${SLICE.toLocaleString('en')} events, back to ${back} UTC.`
}

async function listLetters(
  { db }: Pick<Stores, 'db'>,
  view: LetterView,
  query: EventsQuery,
): Promise<EventsListed> {
  const before = query.before === undefined ? undefined : readLetterCursor(query.before)
  if (query.before !== undefined && before === undefined) return NO_PLACE
  const { environment, journey, reference, limit = PAGE } = query
  const { letters, lookedTo } = await readLettersPage(
    db,
    view,
    { environment, journeyId: journey && storedId(journey), referenceNo: reference && storedId(reference) },
    { limit, before },
  )
  return {
    kind: 'page',
    items: letters.map((letter) => ({ what: 'dead_letter', ...letter })),
    next: lookedTo === null ? null : writeCursor(lookedTo),
    top: null,
    looked:
      lookedTo === null || letters.length === limit
        ? null
        : `Looked through ${SLICE.toLocaleString('en')} dead letters.`,
  }
}

async function listWaiting(stores: Pick<Stores, 'db' | 'queue'>, query: EventsQuery): Promise<EventsPage> {
  const { events, isAll, queueIsAway } = await readWaiting(stores, WAITING_SHOWN)
  const { environment, journey, reference } = query
  const wanted = events.filter(
    (event) =>
      isSame(environment, event.environment ?? '') &&
      (journey === undefined || event.journeyId === storedId(journey)) &&
      (reference === undefined || event.referenceNo === storedId(reference)),
  )
  const some = `Shows the ${WAITING_SHOWN} that have waited longest in each place.`
  return {
    kind: 'page',
    items: wanted.map((event) => ({ what: 'waiting', ...event })),
    next: null,
    top: null,
    looked: queueIsAway
      ? 'Redis does not answer, so what waits in the queue is not shown.'
      : isAll
        ? null
        : some,
  }
}
