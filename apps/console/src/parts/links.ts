import type { Place } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { runbookPath } from '../runbooks.ts'
import { query } from './states.ts'

export function eventPath(eventKey: string): string {
  return `/events/${encodeURIComponent(eventKey)}`
}

/** Browsers resolve these as parts of an address, also if they are encoded. */
const DOTS = ['.', '..']

export function journeyPath(
  { environment, journeyId }: { environment: string; journeyId: string },
  asked: Readonly<Record<string, string | undefined>> = {},
): string {
  if (DOTS.includes(journeyId)) {
    return `/journeys/${encodeURIComponent(environment)}${query({ id: journeyId, ...asked })}`
  }
  return `/journeys/${encodeURIComponent(environment)}/${encodeURIComponent(journeyId)}${query(asked)}`
}

/** Where the documentation says more; as text if it is no page that the console shows. */
export function runbookLink(place: string): Html {
  const path = runbookPath(place)
  return path ? html`<a href="${path}">What to do</a>` : html`<span class="soft">${place}</span>`
}

export function letterPath(id: number): string {
  return `/dead-letters/${id}`
}

export function searchPath(text: string): string {
  return `/search${query({ q: text })}`
}

export function pathOf(place: Place): string {
  switch (place.page) {
    case 'event':
      return eventPath(place.eventKey)
    case 'journey':
      return journeyPath(place)
    case 'dead_letter':
      return letterPath(place.id)
    default:
      return place satisfies never
  }
}
