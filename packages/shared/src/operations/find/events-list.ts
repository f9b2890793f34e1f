import {
  type Db,
  type EventPlace,
  type EventsRead,
  type LetterPlace,
  type LetterView,
  readEventsPage,
  SLICE,
} from '../../db/index.ts'
import type { Stores } from '../stores.ts'
import { readEventCursor, writeCursor } from './cursor.ts'
import { type EventsListed, NO_PLACE, PAGE, type Refused } from './events-answer.ts'
import { type EventsQuery, type EventView, hasNoLetters, inapplicableFilter } from './events-query.ts'
import type { SearchHit } from './hits.ts'
import { lettersLooked, listLetters, NO_LETTERS, readWantedLetters } from './letters-list.ts'
import { mergeLists } from './merge.ts'
import { listWaiting } from './waiting-list.ts'
import { type AskedEvents, askEvents, readWanted, type Wanted } from './wanted.ts'

/** More newer events than this are not counted. */
export const NEWER_COUNTED = 100

const LETTERS: Partial<Record<EventView, LetterView>> = {
  failed: 'open',
  conflicts: 'conflicts',
  replayed: 'replayed',
}

/**
 * Lists events, the last landed first, and among them the open dead letters by when they failed first; of a view, those
 * that wait or have failed. A statement looks at 20,000 of them at most: if a filter finds too few, the page says how
 * far it looked, and `next` goes on from there.
 */
export async function listEvents(
  stores: Pick<Stores, 'db' | 'queue'>,
  query: EventsQuery,
): Promise<EventsListed> {
  const view = query.view ?? 'all'
  const inapplicable = inapplicableFilter(query)
  if (inapplicable !== undefined) return { kind: 'refused', words: inapplicable }
  if (view === 'waiting') return listWaiting(stores, query)
  const letters = LETTERS[view]
  return letters ? listLetters(stores.db, letters, query) : listLanded(stores.db, query)
}

async function listLanded(db: Db, query: EventsQuery): Promise<EventsListed> {
  const { limit = PAGE } = query
  const beyond = query.before === undefined ? undefined : readEventCursor(query.before)
  if (query.before !== undefined && !beyond) return NO_PLACE
  const asked = await readAsked(db, query)
  if (asked.kind === 'refused') return asked
  const [read, letters] = await Promise.all([
    readEventsPage(db, { ...asked, limit, beyond: beyond?.event }),
    asked.letters && (!beyond || beyond.letter !== undefined)
      ? readWantedLetters(db, 'open', asked.wanted, { limit, before: beyond?.letter })
      : NO_LETTERS,
  ])
  const merged = mergeLists<SearchHit, EventPlace, LetterPlace>(
    {
      items: read.events.map(({ place, ...event }) => ({ item: { what: 'event', ...event }, place })),
      end: read.lookedTo,
      at: atOf,
    },
    {
      items: letters.letters.map((letter) => ({
        item: { what: 'dead_letter', ...letter },
        place: { id: letter.id, at: letter.firstFailedAt },
      })),
      end: letters.lookedTo,
      at: ({ at }) => at.getTime(),
    },
    limit,
  )
  const newest = read.events[0]?.place
  const event = merged.first ?? beyond?.event ?? (newest ? justAbove(newest) : BOTTOM)
  const firstLetter = letters.letters[0]?.id
  const letter = merged.second?.id ?? beyond?.letter ?? (firstLetter === undefined ? 0 : firstLetter + 1)
  const words = [lookedIn(read, limit), lettersLooked(letters, limit)].filter((each) => each !== null)
  return {
    kind: 'page',
    items: merged.items,
    next: merged.isAll ? null : writeCursor({ event, letter: asked.letters ? letter : undefined }),
    top:
      newest && !beyond
        ? writeCursor({ event: newest, letter: firstLetter ?? letters.lookedTo?.id ?? 0 })
        : null,
    looked: merged.items.length === limit ? null : words.join(' ') || null,
  }
}

/** How many events of a query have come since a page was read (`top`), at most 100; undefined: `top` is no place. */
export async function countNewer(
  stores: Pick<Stores, 'db' | 'queue'>,
  query: EventsQuery,
  top: string,
): Promise<number | undefined> {
  const beyond = readEventCursor(top)
  const asked = beyond && (await readAsked(stores.db, query))
  if (asked?.kind !== 'asked') return undefined
  const [{ events }, { letters }] = await Promise.all([
    readEventsPage(stores.db, { ...asked, limit: NEWER_COUNTED, beyond: beyond?.event, towards: 'newer' }),
    asked.letters && beyond?.letter !== undefined
      ? readWantedLetters(stores.db, 'open', asked.wanted, { limit: NEWER_COUNTED, after: beyond.letter })
      : NO_LETTERS,
  ])
  return Math.min(events.length + letters.length, NEWER_COUNTED)
}

/** What is asked of stored events, and whether dead letters belong among them. */
async function readAsked(
  db: Db,
  query: EventsQuery,
): Promise<(AskedEvents & { readonly letters: boolean; readonly wanted: Wanted | null }) | Refused> {
  const read = await readWanted(db, query)
  if (read.kind === 'refused') return read
  const { wanted } = read
  return { ...(await askEvents(db, wanted, query)), wanted, letters: !hasNoLetters(query) }
}

/** The place before which a list has nothing, and the one after which it begins with an event. */
const BOTTOM: EventPlace = { us: '0', n: 0, eventKey: '0'.repeat(64) }
const justAbove = ({ us }: EventPlace): EventPlace => ({ us, n: 32_767, eventKey: 'f'.repeat(64) })

function atOf({ us }: EventPlace): number {
  return Number(BigInt(us) / 1_000n)
}

function lookedIn({ events, lookedTo }: EventsRead, limit: number): string | null {
  if (!lookedTo || events.length === limit) return null
  const back = new Date(atOf(lookedTo)).toISOString().replace('T', ' ').slice(0, 16)
  return `Looked through ${SLICE.toLocaleString('en')} events, back to ${back} UTC.`
}
