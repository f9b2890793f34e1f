import type { EventKind } from '../idwise/event.ts'
import { REDELIVERY_SPAN_MS } from '../idwise/schedule.ts'

/** What one or more stored events of a journey say; events that say the same may be given as one, with their count. */
export type JourneyEvent = {
  readonly kind: EventKind
  /** As received. */
  readonly event: string | null
  readonly referenceNo: string | null
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  readonly finalDecision: string | null
  /** It has a final decision and no manual one at all, not even null: the oldest shape. */
  readonly finalWithoutManual: boolean
  readonly action: string | null
  readonly trigger: string | null
  readonly previousSystemDecision: string | null
  readonly amlVersion: number | null
  /** Another body came under the event's id, and nobody has decided about it yet. */
  readonly conflict: boolean
  /** First and last arrival, ms since 1970. */
  readonly firstAt: number
  readonly lastAt: number
  readonly count: number
}

type Arrival = Pick<JourneyEvent, 'lastAt'>

export const RESUBMISSION_REQUESTED = 'Resubmission Requested'
export const VERDICTS: ReadonlySet<string> = new Set(['Approved', 'Rejected'])

/** Events that say the same as one, so that it is all the same whether they were given so. */
export function coalesce(events: readonly JourneyEvent[]): JourneyEvent[] {
  if (events.length <= 1) return [...events]
  const groups = new Map<string, JourneyEvent>()
  for (const event of events) gather(groups, event)
  if (groups.size === 1) return [...groups.values()]
  return [...groups.keys()].sort().map((saying) => groups.get(saying) as JourneyEvent)
}

/** Adds an event to those that say the same. */
export function gather(groups: Map<string, JourneyEvent>, event: JourneyEvent): void {
  const saying = contentKey(event)
  const known = groups.get(saying)
  groups.set(saying, known ? together(known, event) : event)
}

function together(known: JourneyEvent, event: JourneyEvent): JourneyEvent {
  return {
    ...event,
    firstAt: Math.min(event.firstAt, known.firstAt),
    lastAt: Math.max(event.lastAt, known.lastAt),
    count: event.count + known.count,
  }
}

function contentKey(event: JourneyEvent): string {
  const { kind, event: name, referenceNo, systemDecision, manualDecision, finalDecision } = event
  const { finalWithoutManual, action, trigger, previousSystemDecision, amlVersion, conflict } = event
  const decisions = [
    systemDecision,
    manualDecision,
    finalDecision,
    finalWithoutManual,
    previousSystemDecision,
  ]
  return JSON.stringify([kind, name, referenceNo, ...decisions, action, trigger, amlVersion, conflict])
}

/**
 * What a reviewer decided, as far as an event tells. The oldest shape has no manual decision; there a verdict as the
 * final decision, other than the system's, can only come from a review.
 */
export function reviewIn(event: JourneyEvent): string | null {
  const { manualDecision, finalDecision, systemDecision, finalWithoutManual } = event
  if (manualDecision !== null) return manualDecision
  if (!finalWithoutManual || finalDecision === systemDecision || !VERDICTS.has(finalDecision ?? ''))
    return null
  return finalDecision
}

/**
 * The final decision is the manual one once there is one, else the system's ("Updated Journey Webhook"). Whether a
 * request for steps counts as final is not documented.
 */
export function contradictsItself(event: JourneyEvent): boolean {
  const { manualDecision, finalDecision, systemDecision } = event
  if (finalDecision === null || finalDecision === (reviewIn(event) ?? systemDecision)) return false
  return !(manualDecision === RESUBMISSION_REQUESTED && finalDecision === systemDecision)
}

export function isStepUpdate({ kind, action }: JourneyEvent): boolean {
  return kind === 'updated_journey' && /^step update$/i.test(action?.trim() ?? '')
}

/** Whether it brings a system decision about; others only quote the one of their time. */
export function decides({ kind, action, systemDecision }: JourneyEvent): boolean {
  if (systemDecision === null) return false
  if (kind === 'updated_journey') return !/^(manual review|aml ogm update)$/i.test(action?.trim() ?? '')
  return kind === 'finished_journey' || kind === 'aml_monitor_update'
}

/** Whether it was sent later, and cannot have been overtaken by a redelivery. */
export function surelyAfter(event: Arrival, other: Arrival): boolean {
  return event.lastAt - other.lastAt > REDELIVERY_SPAN_MS
}

export function tooClose(event: Arrival, other: Arrival): boolean {
  return !surelyAfter(event, other) && !surelyAfter(other, event)
}
