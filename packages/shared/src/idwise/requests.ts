import type { EventKind } from './event.ts'
import {
  decides,
  isStepUpdate,
  type JourneyEvent,
  REDELIVERY_SPAN_MS,
  RESUBMISSION_REQUESTED,
  reviewIn,
  surelyAfter,
  tooClose,
  VERDICTS,
} from './journey-event.ts'

/** What IDWise asked of the user after completion, and whether it came. */
export type Requests = {
  /** A Finished Journey that answers a request for steps. */
  isSecondCompletion(event: JourneyEvent): boolean
  /** The completion whose decision a request quotes: the request came after it. */
  isQuoted(event: JourneyEvent): boolean
  /** Whether a Finished Journey too close to say may not have been the journey's first. */
  mayFollowAnother(event: JourneyEvent): boolean
  /** A request whose place before or after this event arrival does not tell. */
  isCloseToRequest(event: JourneyEvent): boolean
  /** A verdict on what an answer brought, which no request knew yet: it fell after both. */
  fellAfterAnswer(event: JourneyEvent): boolean
  readonly resubmission: Progress<'open' | 'done'>
  readonly renewal: Progress<'open' | 'overdue' | 'done'>
}

/** Cautious where `unsure`: what may have been the answer may also have come before the request. */
type Progress<State> = { readonly state: State | null; readonly unsure: boolean }

type Answer = 'yes' | 'perhaps' | 'no'

export function createRequests(events: readonly JourneyEvent[]): Requests {
  const ofKind = (kind: EventKind) => events.filter((event) => event.kind === kind)
  const asked = ofKind('verification_update_required')
  const renewals = asked.filter(({ trigger }) => /^kyc[\s_-]*renewal$/i.test(trigger?.trim() ?? ''))
  const deadlines = ofKind('kyc_renewal_deadline_exceeded')
  const completions = ofKind('finished_journey')
  const quoting = events.filter(({ manualDecision }) => manualDecision === RESUBMISSION_REQUESTED)
  const asking = [
    ...asked.filter((event) => !renewals.includes(event)),
    ...quoting.filter((event) => !asked.includes(event) && isReview(event)),
  ]
  // An account may be sent only events that quote the request, not the request.
  const resubmissions = asking.length > 0 ? asking : quoting
  const requests = new Set([...asked, ...deadlines, ...asking])
  const sentAfter = (event: JourneyEvent, other: JourneyEvent) =>
    event.lastAt - other.firstAt > REDELIVERY_SPAN_MS

  // A request quotes the decision of its time: of several completions, one that says otherwise came after it.
  const isQuoted = ({ systemDecision }: JourneyEvent) =>
    asked.some((request) => request.systemDecision === systemDecision)
  const saysOtherwise = (event: JourneyEvent, { systemDecision }: JourneyEvent) =>
    systemDecision !== null &&
    event.systemDecision !== systemDecision &&
    completions.some((completion) => completion.systemDecision === systemDecision)

  function isSecondCompletion(event: JourneyEvent): boolean {
    if (event.kind !== 'finished_journey') return false
    if ([...asked, ...deadlines].some((request) => sentAfter(event, request))) return true
    return (
      !isQuoted(event) &&
      asked.some((request) => !surelyAfter(request, event) && saysOtherwise(event, request))
    )
  }

  function mayFollowAnother(event: JourneyEvent): boolean {
    return event.count > 1 || completions.some((other) => other !== event && !sentBefore(event, other))
  }

  function answers(event: JourneyEvent, request: JourneyEvent): Answer {
    if (surelyAfter(request, event)) return 'no'
    const after = surelyAfter(event, request)
    if (event.kind === 'finished_journey') {
      if (after || (saysOtherwise(event, request) && !isQuoted(event))) return 'yes'
      return mayFollowAnother(event) ? 'perhaps' : 'no'
    }
    if (isStepUpdate(event)) {
      if (after || event.systemDecision !== request.systemDecision) return 'yes'
      const isOfAnother = [...requests].some((other) => sentAfter(event, other))
      return isOfAnother ? 'perhaps' : 'yes'
    }
    const isStep = event.kind === 'finished_step' || event.kind === 'finished_user_steps'
    return isStep && after ? 'yes' : 'no'
  }

  const isVerdict = (event: JourneyEvent) =>
    (event.kind === 'updated_journey' || event.kind === 'manually_reviewed') &&
    VERDICTS.has(reviewIn(event) ?? '')

  function fellAfterAnswer(event: JourneyEvent): boolean {
    const { systemDecision } = event
    if (!isVerdict(event) || systemDecision === null) return false
    const sources = events.filter(
      (source) =>
        (decides(source) && source.systemDecision === systemDecision) ||
        source.previousSystemDecision === systemDecision,
    )
    return (
      sources.length > 0 &&
      sources.every((source) => isStepUpdate(source) || isSecondCompletion(source)) &&
      [...requests].every(
        (request) => request.systemDecision !== null && request.systemDecision !== systemDecision,
      )
    )
  }

  function settles(event: JourneyEvent, request: JourneyEvent): Answer {
    if (!isVerdict(event) || surelyAfter(request, event)) return 'no'
    return surelyAfter(event, request) || fellAfterAnswer(event) ? 'yes' : 'perhaps'
  }

  /** Whether all of the last requests are answered. */
  function progress(all: readonly JourneyEvent[], ...by: (typeof answers)[]): Answer | null {
    const last = all.filter((request) => !all.some((other) => surelyAfter(other, request)))
    if (last.length === 0) return null
    const found = last.map((request) =>
      best(events.flatMap((event) => by.map((answer) => answer(event, request)))),
    )
    return found.includes('no') ? 'no' : found.includes('perhaps') ? 'perhaps' : 'yes'
  }

  function resubmission(): Requests['resubmission'] {
    const answered = progress(resubmissions, answers, settles)
    return { state: answered && (answered === 'yes' ? 'done' : 'open'), unsure: answered === 'perhaps' }
  }

  function renewal(): Requests['renewal'] {
    const answered = progress([...renewals, ...deadlines], answers)
    const isOverdue = deadlines.some(
      (deadline) => !renewals.some((renewed) => surelyAfter(renewed, deadline)),
    )
    const open = isOverdue ? 'overdue' : 'open'
    return { state: answered && (answered === 'yes' ? 'done' : open), unsure: answered === 'perhaps' }
  }

  return {
    isSecondCompletion,
    isQuoted,
    mayFollowAnother,
    isCloseToRequest: (event) => asked.some((request) => tooClose(event, request)),
    fellAfterAnswer,
    resubmission: resubmission(),
    renewal: renewal(),
  }
}

/** An event by which a reviewer decides; those of other kinds and actions quote what one has decided. */
function isReview({ kind, action }: JourneyEvent): boolean {
  if (kind === 'updated_journey') return !/^(step update|aml\b)/i.test(action?.trim() ?? '')
  return kind === 'manually_reviewed'
}

function sentBefore(event: JourneyEvent, other: JourneyEvent): boolean {
  return other.firstAt - event.lastAt > REDELIVERY_SPAN_MS
}

function best(answers: readonly Answer[]): Answer {
  return answers.includes('yes') ? 'yes' : answers.includes('perhaps') ? 'perhaps' : 'no'
}
