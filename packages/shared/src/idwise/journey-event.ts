import type { EventKind } from './event.ts'

/** What one or more stored events of a journey say; events that say the same may be given as one, with their count. */
export type JourneyEvent = {
  readonly kind: EventKind
  /** As received. */
  readonly event: string | null
  readonly referenceNo: string | null
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  readonly finalDecision: string | null
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

/** How long after its first try an event can arrive ("Webhook FAQ": again after 5, 10 and 15 minutes). */
export const REDELIVERY_SPAN_MS = 30 * 60 * 1000

export const RESUBMISSION_REQUESTED = 'Resubmission Requested'
export const VERDICTS: ReadonlySet<string> = new Set(['Approved', 'Rejected'])

/**
 * The reviewer's verdict that an event tells of. The oldest shape has no manual decision; there a final decision that
 * differs from the system's can only come from a review.
 */
export function reviewIn({ manualDecision, finalDecision, systemDecision }: JourneyEvent): string | null {
  return manualDecision ?? (finalDecision === systemDecision ? null : finalDecision)
}

/** Whether it was sent later, and cannot have been overtaken by a redelivery. */
export function surelyAfter(event: JourneyEvent, other: JourneyEvent): boolean {
  return event.lastAt - other.lastAt > REDELIVERY_SPAN_MS
}
