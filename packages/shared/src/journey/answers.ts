import type { JourneyEvent } from './event.ts'
import { isStepUpdate, reviewIn, surelyAfter, VERDICTS } from './event-rules.ts'
import { createNewest, type Newest, newestOf } from './newest.ts'

/** Whether a request was answered; 'perhaps' if the possible answer may also have been sent before the request. */
export type Answer = 'yes' | 'perhaps' | 'no'

/** `unsure`: it is not known whether the request was answered; `state` is the more cautious of both. */
export type Progress<State> = { readonly state: State | null; readonly unsure: boolean }

/**
 * What else must be known of an event to compare it with a request; `UpdateRequests` has more about the first three.
 */
type Known = {
  isQuoted(event: JourneyEvent): boolean
  mayFollowAnother(event: JourneyEvent): boolean
  fellAfterAnswer(event: JourneyEvent): boolean
  /** The request quotes a completion's decision, and the event states another one. */
  statesOther(event: JourneyEvent, request: JourneyEvent): boolean
  /** It was sent after some request of the journey. */
  followsRequest(event: JourneyEvent): boolean
}

type Rule = (event: JourneyEvent, request: JourneyEvent) => Answer

/** The two rules by which an event ends a request, and the progress of requests by such rules. */
export function createAnswers(events: readonly JourneyEvent[], known: Known) {
  /** The user has done the steps that were asked for. */
  function answers(event: JourneyEvent, request: JourneyEvent): Answer {
    if (surelyAfter(request, event)) return 'no'
    const after = surelyAfter(event, request)
    if (event.kind === 'finished_journey') {
      if (after || (known.statesOther(event, request) && !known.isQuoted(event))) return 'yes'
      return known.mayFollowAnother(event) ? 'perhaps' : 'no'
    }
    if (isStepUpdate(event)) {
      if (after || event.systemDecision !== request.systemDecision) return 'yes'
      return known.followsRequest(event) ? 'perhaps' : 'yes'
    }
    return isStep(event) && after ? 'yes' : 'no'
  }

  /** A reviewer has decided without the steps. */
  function settles(event: JourneyEvent, request: JourneyEvent): Answer {
    if (!isVerdict(event) || surelyAfter(request, event)) return 'no'
    return surelyAfter(event, request) || known.fellAfterAnswer(event) ? 'yes' : 'perhaps'
  }

  /** All that both rules look at, except the system decision and the time; undefined if the event answers nothing. */
  function groupOf(event: JourneyEvent): string | undefined {
    if (event.kind === 'finished_journey') {
      return `completion ${known.isQuoted(event)} ${known.mayFollowAnother(event)}`
    }
    if (isStep(event)) return 'step'
    const asUpdate = isStepUpdate(event) && `step update ${known.followsRequest(event)}`
    const asVerdict = isVerdict(event) && `verdict ${known.fellAfterAnswer(event)}`
    return asUpdate || asVerdict ? `${asUpdate} ${asVerdict}` : undefined
  }

  /**
   * A few events that answer as much as all of them. Within a group, a later event answers no less than an earlier one
   * of the same decision. So two of each group are enough: the newest one, and the newest one of another decision, for
   * requests that have the decision of the newest.
   */
  let representatives: JourneyEvent[] | undefined
  function findRepresentatives(): JourneyEvent[] {
    const groups = new Map<string, Newest<JourneyEvent>>()
    for (const event of events) {
      const group = groupOf(event)
      if (group === undefined) continue
      const newest = groups.get(group) ?? createNewest<JourneyEvent>(({ systemDecision }) => systemDecision)
      groups.set(group, newest)
      newest.add(event)
    }
    return [...groups.values()].flatMap(({ items }) => items)
  }

  /** Whether all of the last ones of these requests were answered; null if there are none. */
  function progress(requests: readonly JourneyEvent[], ...rules: Rule[]): Answer | null {
    const newest = newestOf(requests)
    if (!newest) return null
    representatives ??= findRepresentatives()
    const found = new Set<Answer>()
    for (const request of requests) {
      if (!surelyAfter(newest, request)) found.add(best(rules, representatives, request))
    }
    return found.has('no') ? 'no' : found.has('perhaps') ? 'perhaps' : 'yes'
  }

  return { answers, settles, progress }
}

/** The surest answer that one of these events is to a request. */
function best(rules: readonly Rule[], events: readonly JourneyEvent[], request: JourneyEvent): Answer {
  let answer: Answer = 'no'
  for (const event of events) {
    for (const rule of rules) {
      const found = rule(event, request)
      if (found === 'yes') return found
      if (found === 'perhaps') answer = found
    }
  }
  return answer
}

export function isVerdict(event: JourneyEvent): boolean {
  const isReview = event.kind === 'updated_journey' || event.kind === 'manually_reviewed'
  return isReview && VERDICTS.has(reviewIn(event) ?? '')
}

function isStep({ kind }: JourneyEvent): boolean {
  return kind === 'finished_step' || kind === 'finished_user_steps'
}
