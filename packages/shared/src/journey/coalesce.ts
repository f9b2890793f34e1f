import { factsOf, type JourneyEvent } from './event.ts'

/**
 * Events with equal facts become one event with their count. The fold gives the same for them as for the events
 * themselves, and a journey with very many events stays cheap to fold.
 *
 * @returns the same list for every order of the events
 */
export function coalesce(events: readonly JourneyEvent[]): JourneyEvent[] {
  if (events.length <= 1) return [...events]
  const groups = new Map<string, JourneyEvent>()
  for (const event of events) coalesceInto(groups, event)
  if (groups.size === 1) return [...groups.values()]
  return [...groups.keys()].sort().map((key) => groups.get(key) as JourneyEvent)
}

/** Adds an event to a map of coalesced events. */
export function coalesceInto(groups: Map<string, JourneyEvent>, event: JourneyEvent): void {
  const key = contentKey(event)
  const known = groups.get(key)
  groups.set(key, known ? merged(known, event) : event)
}

function merged(known: JourneyEvent, event: JourneyEvent): JourneyEvent {
  return {
    ...event,
    firstAt: Math.min(event.firstAt, known.firstAt),
    lastAt: Math.max(event.lastAt, known.lastAt),
    count: event.count + known.count,
  }
}

function contentKey(event: JourneyEvent): string {
  return JSON.stringify(factsOf(event))
}
