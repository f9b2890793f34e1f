import { type Db, type LettersRead, type LetterView, readLettersPage } from '../../db/index.ts'
import { readLetterCursor, writeCursor } from './cursor.ts'
import { type EventsListed, NO_PLACE, PAGE } from './events-answer.ts'
import type { EventsQuery } from './events-query.ts'
import { bodyTest } from './matches.ts'
import { readWanted, type Wanted } from './wanted.ts'

/** A view of dead letters, the newest first. */
export async function listLetters(db: Db, view: LetterView, query: EventsQuery): Promise<EventsListed> {
  const { limit = PAGE } = query
  const before = query.before === undefined ? undefined : readLetterCursor(query.before)
  if (query.before !== undefined && before === undefined) return NO_PLACE
  const read = await readWanted(db, query)
  if (read.kind === 'refused') return read
  const found = await readWantedLetters(db, view, read.wanted, { limit, before })
  const { letters, lookedTo } = found
  return {
    kind: 'page',
    items: letters.map((letter) => ({ what: 'dead_letter', ...letter })),
    next: lookedTo && writeCursor(lookedTo.id),
    top: null,
    looked: lettersLooked(found, limit),
  }
}

export async function readWantedLetters(
  db: Db,
  view: LetterView,
  wanted: Wanted | null,
  page: Parameters<typeof readLettersPage>[3],
): Promise<LettersRead> {
  if (!wanted) return NO_LETTERS
  return readLettersPage(db, view, { ...wanted, isWanted: bodyTest(wanted) }, page)
}

export const NO_LETTERS: LettersRead = { letters: [], lookedTo: null, slice: 0 }

/** How far was looked, in words, if a page is not full and there are more. */
export function lettersLooked({ letters, lookedTo, slice }: LettersRead, limit: number): string | null {
  if (!lookedTo || letters.length === limit) return null
  return `Looked through ${slice.toLocaleString('en')} dead letters.`
}
