import type { SearchHit } from './hits.ts'

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

/** The query cannot be answered, and `words` says what to do. */
export type Refused = { readonly kind: 'refused'; readonly words: string }

export type EventsListed = EventsPage | Refused

/** How many a page has, unless it is asked for another number. */
export const PAGE = 50

export const NO_PLACE: Refused = {
  kind: 'refused',
  words: 'The parameter "before" is no place in this list. Begin with the first page.',
}
