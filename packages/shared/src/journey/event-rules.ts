import { REDELIVERY_SPAN_MS } from '../idwise/schedule.ts'
import type { JourneyEvent } from './event.ts'

type Received = Pick<JourneyEvent, 'lastAt'>

export const RESUBMISSION_REQUESTED = 'Resubmission Requested'
export const VERDICTS: ReadonlySet<string> = new Set(['Approved', 'Rejected'])

/**
 * What a reviewer decided, as far as an event says. The oldest shape has no manual decision; there a verdict as the
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
export function surelyAfter(event: Received, other: Received): boolean {
  return event.lastAt - other.lastAt > REDELIVERY_SPAN_MS
}

export function tooClose(event: Received, other: Received): boolean {
  return !surelyAfter(event, other) && !surelyAfter(other, event)
}
