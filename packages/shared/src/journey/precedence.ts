import type { EventKind } from '../idwise/event.ts'
import { type JourneyEvent, RESUBMISSION_REQUESTED } from './event.ts'
import type { UpdateRequests } from './update-requests.ts'

/** The natural order of the event types; undefined for those that decide nothing about the journey itself. */
export const PRECEDENCE: Partial<Record<EventKind, number>> = {
  step_submitted: 1,
  finished_step: 1,
  finished_user_steps: 2,
  finished_journey: 3,
  verification_update_required: 4,
  updated_journey: 5,
  manually_reviewed: 5,
  aml_monitor_update: 5,
}
const COMPLETED_AGAIN = 4.5
const FELL_AFTER_ANSWER = 6

/** Its place among those that state a system decision; a higher one comes later. */
export function precedenceOf(event: JourneyEvent, requests: UpdateRequests): number | undefined {
  if (requests.isSecondCompletion(event)) return COMPLETED_AGAIN
  const rank = PRECEDENCE[event.kind]
  // A review that asks for steps quotes a decision from before they came.
  return rank === 5 && event.manualDecision === RESUBMISSION_REQUESTED ? 4 : rank
}

/** A request for steps may precede a verdict or take it back, unless the verdict is one on what came of it. */
export function reviewPrecedenceOf(event: JourneyEvent, requests: UpdateRequests): number | undefined {
  if (requests.fellAfterAnswer(event)) return FELL_AFTER_ANSWER
  const rank = PRECEDENCE[event.kind]
  return rank === 4 && event.manualDecision === RESUBMISSION_REQUESTED ? 5 : rank
}
