import { gather, type JourneyEvent } from './event.ts'
import { foldCoalesced, type Journey } from './fold.ts'

/** One event of a journey, in order of arrival, and what it did. */
export type TimelineEntry<Event extends JourneyEvent> = {
  readonly event: Event
  /** What the journey's state became by its arrival. */
  readonly changed: readonly {
    field: keyof Journey
    from: Journey[keyof Journey] | null
    to: Journey[keyof Journey]
  }[]
  /** Why what it says is not the journey's state; null where it is, or where it says nothing. */
  readonly supersededBecause: string | null
}

const SHOWN: readonly (keyof Journey)[] = [
  'referenceNo',
  'stage',
  'systemDecision',
  'manualDecision',
  'finalDecision',
  'amlVersion',
  'resubmission',
  'renewal',
  'needsAttention',
]

/**
 * Tells a journey event by event. The n-th entry compares the folds of the first n - 1 and the first n events.
 *
 * @param earlier what came before these events, where they are not all
 */
export function journeyTimeline<Event extends JourneyEvent>(
  events: readonly Event[],
  earlier: readonly JourneyEvent[] = [],
): TimelineEntry<Event>[] {
  const arrived = events.toSorted((a, b) => a.lastAt - b.lastAt)
  const groups = new Map<string, JourneyEvent>()
  for (const event of earlier) gather(groups, event)
  let now = earlier.length > 0 ? foldCoalesced([...groups.values()]) : undefined
  const changes = arrived.map((event) => {
    gather(groups, event)
    const before = now
    const after = foldCoalesced([...groups.values()])
    now = after
    return SHOWN.filter((field) => (before?.[field] ?? null) !== after[field]).map((field) => ({
      field,
      from: before?.[field] ?? null,
      to: after[field],
    }))
  })
  return arrived.map((event, index) => ({
    event,
    changed: changes[index] ?? [],
    supersededBecause: whyNot(event, now as Journey),
  }))
}

function whyNot(event: JourneyEvent, now: Journey): string | null {
  if (event.kind === 'unrecognised') return 'nobody knows what this event means'
  if (event.kind === 'finished_ongoing_check' || event.kind === 'finished_spot_check') {
    return event.systemDecision && 'its decision is that of the check, not of the journey'
  }
  if (event.amlVersion !== null && event.amlVersion !== now.amlVersion) {
    return `AML version ${event.amlVersion} is older than version ${now.amlVersion}`
  }
  if (event.systemDecision === null || event.systemDecision === now.systemDecision) return null
  return `its system decision ${event.systemDecision} is of an earlier time than ${now.systemDecision}`
}
