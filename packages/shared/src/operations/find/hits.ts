import type { EventSummary, GoneEvent, JourneySummary, LetterSummary, RefusedEvent } from '../../db/index.ts'
import type { WaitingEvent } from './waiting.ts'

/** One thing that a name leads to. */
export type SearchHit =
  | ({ readonly what: 'event' } & EventSummary)
  | ({ readonly what: 'journey' } & JourneySummary)
  | ({ readonly what: 'waiting' } & WaitingEvent)
  | ({ readonly what: 'dead_letter' } & LetterSummary)
  | ({ readonly what: 'refused' } & RefusedEvent)
  | ({ readonly what: 'gone' } & GoneEvent)

/** What is known of a name, by the best of its hits. `refused`: it was answered 503 and has not come again. */
export type SearchStatus = 'landed' | 'waiting' | 'dead_letter' | 'refused' | 'gone' | 'not_here'

/** A page of the console, or a command that shows the same. */
export type Place =
  | { readonly page: 'event'; readonly eventKey: string }
  | { readonly page: 'journey'; readonly environment: string; readonly journeyId: string }
  | { readonly page: 'dead_letter'; readonly id: number }

const STATUSES: readonly [SearchHit['what'], SearchStatus][] = [
  ['event', 'landed'],
  ['journey', 'landed'],
  ['waiting', 'waiting'],
  ['dead_letter', 'dead_letter'],
  ['refused', 'refused'],
  ['gone', 'gone'],
]

export function statusOf(hits: readonly SearchHit[]): SearchStatus {
  return STATUSES.find(([what]) => hits.some((hit) => hit.what === what))?.[1] ?? 'not_here'
}

/** The one page on which all hits of a name are seen; null if there are none, or no such page. */
export function placeOf(hits: readonly SearchHit[]): Place | null {
  const journeys = hits.filter((hit) => hit.what === 'journey')
  const [journey] = journeys
  if (journey && journeys.length === 1 && hits.every((hit) => isOf(journey, hit))) {
    const { environment, journeyId } = journey
    return { page: 'journey', environment, journeyId }
  }
  const places = hits.map(pageOf)
  const [first] = places
  const isOne = first && places.every((place) => JSON.stringify(place) === JSON.stringify(first))
  return isOne ? first : null
}

/** Whether the page of a journey shows what was found. */
function isOf(journey: JourneySummary, hit: SearchHit): boolean {
  if (hit.what === 'gone' || hit.environment !== journey.environment) return false
  if (hit.journeyId === journey.journeyId) return true
  return hit.what === 'event' && hit.journeyId === null && hit.referenceNo === journey.referenceNo
}

/** Where one hit is shown. */
function pageOf(hit: SearchHit): Place | null {
  if (hit.what === 'journey') {
    return { page: 'journey', environment: hit.environment, journeyId: hit.journeyId }
  }
  // The page of an event shows its dead letters.
  if (hit.eventKey !== null) return { page: 'event', eventKey: hit.eventKey }
  return hit.what === 'dead_letter' ? { page: 'dead_letter', id: hit.id } : null
}
