import type { Place } from '@sluice/shared/operations'
import { query } from './states.ts'

export function eventPath(eventKey: string): string {
  return `/events/${encodeURIComponent(eventKey)}`
}

export function journeyPath(
  { environment, journeyId }: { environment: string; journeyId: string },
  asked: Readonly<Record<string, string | undefined>> = {},
): string {
  return `/journeys/${encodeURIComponent(environment)}/${encodeURIComponent(journeyId)}${query(asked)}`
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
