import type { EventKind } from '../idwise/event.ts'
import type { JourneyEvent } from './event.ts'
import { RESUBMISSION_REQUESTED } from './event-rules.ts'
import type { UpdateRequests } from './update-requests.ts'

/**
 * The natural order of what happens in a journey. Of two events too close in time, the one of higher precedence comes
 * later.
 */
export const PRECEDENCE = {
  step: 1,
  allSteps: 2,
  completion: 3,
  updateRequest: 4,
  /** A Finished Journey that answers a request for steps. */
  secondCompletion: 5,
  review: 6,
  /** A verdict on the steps that a request has brought. */
  reviewOfAnswer: 7,
} as const
type Precedence = (typeof PRECEDENCE)[keyof typeof PRECEDENCE]

const BY_KIND: Partial<Record<EventKind, Precedence>> = {
  step_submitted: PRECEDENCE.step,
  finished_step: PRECEDENCE.step,
  finished_user_steps: PRECEDENCE.allSteps,
  finished_journey: PRECEDENCE.completion,
  verification_update_required: PRECEDENCE.updateRequest,
  updated_journey: PRECEDENCE.review,
  manually_reviewed: PRECEDENCE.review,
  aml_monitor_update: PRECEDENCE.review,
}

/** Undefined for the kinds that decide nothing about the journey itself. */
export function precedenceOfKind(kind: EventKind): Precedence | undefined {
  return BY_KIND[kind]
}

/** The precedence of an event's system decision. */
export function precedenceOf(event: JourneyEvent, updateRequests: UpdateRequests): Precedence | undefined {
  if (updateRequests.isSecondCompletion(event)) return PRECEDENCE.secondCompletion
  const precedence = BY_KIND[event.kind]
  // A review that asks for steps quotes a decision from before they came.
  const asksForSteps = precedence === PRECEDENCE.review && event.manualDecision === RESUBMISSION_REQUESTED
  return asksForSteps ? PRECEDENCE.updateRequest : precedence
}

/**
 * The precedence of an event's manual decision. A request for steps may come before a verdict or take it back, so both
 * have the same; a verdict on the steps themselves is later than either.
 */
export function reviewPrecedenceOf(
  event: JourneyEvent,
  updateRequests: UpdateRequests,
): Precedence | undefined {
  if (updateRequests.fellAfterAnswer(event)) return PRECEDENCE.reviewOfAnswer
  const precedence = BY_KIND[event.kind]
  const asksForSteps =
    precedence === PRECEDENCE.updateRequest && event.manualDecision === RESUBMISSION_REQUESTED
  return asksForSteps ? PRECEDENCE.review : precedence
}
