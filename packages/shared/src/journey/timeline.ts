import { coalesceInto } from './coalesce.ts'
import type { JourneyEvent } from './event.ts'
import { foldCoalesced, type Journey } from './fold.ts'

/** One event of a journey, and what it changed. */
export type TimelineEntry<Event extends JourneyEvent> = {
  readonly event: Event
  readonly changed: readonly {
    field: keyof Journey
    from: Journey[keyof Journey] | null
    to: Journey[keyof Journey]
  }[]
  /** Why the event's value is not the journey's now; null if it is, or if the event states none. */
  readonly supersededBecause: string | null
}

/** These change with every event. */
const HIDDEN: ReadonlySet<string> = new Set<keyof Journey>(['events', 'firstEventAt', 'lastEventAt'])

/**
 * A journey event by event, in the order in which they were received. The n-th entry compares the folds of the first
 * n - 1 and the first n events.
 *
 * @param earlier the events before these, if these are not all
 */
export function journeyTimeline<Event extends JourneyEvent>(
  events: readonly Event[],
  earlier: readonly JourneyEvent[] = [],
): TimelineEntry<Event>[] {
  const groups = new Map<string, JourneyEvent>()
  for (const event of earlier) coalesceInto(groups, event)
  let now = earlier.length > 0 ? foldCoalesced([...groups.values()]) : undefined
  const inOrder = events.toSorted((a, b) => a.lastAt - b.lastAt)
  const changes = inOrder.map((event) => {
    coalesceInto(groups, event)
    const before = now
    const after = foldCoalesced([...groups.values()])
    now = after
    const fields = Object.keys(after) as (keyof Journey)[]
    const changed = fields
      .filter((field) => !HIDDEN.has(field) && (before?.[field] ?? null) !== after[field])
      .map((field) => ({ field, from: before?.[field] ?? null, to: after[field] }))
    return { changed, systemDecision: after.systemDecision }
  })
  return inOrder.map((event, index) => ({
    event,
    changed: changes[index]?.changed ?? [],
    supersededBecause: supersededBecause(event, changes[index]?.systemDecision, now as Journey),
  }))
}

/** @param then the journey's system decision right after the event */
function supersededBecause(
  event: JourneyEvent,
  then: string | null | undefined,
  now: Journey,
): string | null {
  if (event.kind === 'unrecognised') return 'nobody knows what this event means'
  if (event.kind === 'finished_ongoing_check' || event.kind === 'finished_spot_check') {
    return event.systemDecision && 'its decision is that of the check, not of the journey'
  }
  if (event.amlVersion !== null && event.amlVersion !== now.amlVersion) {
    return `AML version ${event.amlVersion} is older than version ${now.amlVersion}`
  }
  if (event.systemDecision === null || event.systemDecision === now.systemDecision) return null
  if (event.systemDecision === then)
    return `${event.systemDecision} was replaced later by ${now.systemDecision}`
  return `it came late: the system decided ${event.systemDecision} before ${then}, and the later decision stays`
}
