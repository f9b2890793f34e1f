import { isStepUpdate, type JourneyEvent, reviewIn, surelyAfter, VERDICTS } from './event.ts'
import { createNewest, type Newest, newestOf } from './newest.ts'

/** Whether what was asked for has come; 'perhaps' when what came may also have been sent before the request. */
export type Answer = 'yes' | 'perhaps' | 'no'

/** Cautious where `unsure`: what may have been the answer may also have come before the request. */
export type Progress<State> = { readonly state: State | null; readonly unsure: boolean }

/** What is known of an event beside the requests of its journey. */
type Marks = {
  isQuoted(event: JourneyEvent): boolean
  saysOtherwise(event: JourneyEvent, request: JourneyEvent): boolean
  mayFollowAnother(event: JourneyEvent): boolean
  /** Whether it was sent after some request, of whatever sort. */
  followsRequest(event: JourneyEvent): boolean
  fellAfterAnswer(event: JourneyEvent): boolean
}

type Rule = (event: JourneyEvent, request: JourneyEvent) => Answer

export function createAnswers(events: readonly JourneyEvent[], marks: Marks) {
  function answers(event: JourneyEvent, request: JourneyEvent): Answer {
    if (surelyAfter(request, event)) return 'no'
    const after = surelyAfter(event, request)
    if (event.kind === 'finished_journey') {
      if (after || (marks.saysOtherwise(event, request) && !marks.isQuoted(event))) return 'yes'
      return marks.mayFollowAnother(event) ? 'perhaps' : 'no'
    }
    if (isStepUpdate(event)) {
      if (after || event.systemDecision !== request.systemDecision) return 'yes'
      return marks.followsRequest(event) ? 'perhaps' : 'yes'
    }
    return isStep(event) && after ? 'yes' : 'no'
  }

  function settles(event: JourneyEvent, request: JourneyEvent): Answer {
    if (!isVerdict(event) || surelyAfter(request, event)) return 'no'
    return surelyAfter(event, request) || marks.fellAfterAnswer(event) ? 'yes' : 'perhaps'
  }

  /** What both rules look at, apart from the decision and the time of arrival; undefined for what answers nothing. */
  function signOf(event: JourneyEvent): string | undefined {
    if (event.kind === 'finished_journey') {
      return `completion ${marks.isQuoted(event)} ${marks.mayFollowAnother(event)}`
    }
    if (isStep(event)) return 'step'
    const asUpdate = isStepUpdate(event) && `step update ${marks.followsRequest(event)}`
    const asVerdict = isVerdict(event) && `verdict ${marks.fellAfterAnswer(event)}`
    return asUpdate || asVerdict ? `${asUpdate} ${asVerdict}` : undefined
  }

  /**
   * Events that tell as much as all of them, a few for each sign. Of events with one sign that say otherwise than a
   * request, or of all with one sign, a later one answers no less than an earlier one. So the newest stands for the
   * others, together with the newest that says otherwise than it, for the requests that say the same as it.
   */
  let telling: JourneyEvent[] | undefined
  function readTelling(): JourneyEvent[] {
    const bySign = new Map<string, Newest<JourneyEvent>>()
    for (const event of events) {
      const sign = signOf(event)
      if (sign === undefined) continue
      const newest = bySign.get(sign) ?? createNewest<JourneyEvent>(({ systemDecision }) => systemDecision)
      bySign.set(sign, newest)
      newest.add(event)
    }
    return [...bySign.values()].flatMap(({ items }) => items)
  }

  /** Whether all of the last of these requests are answered. */
  function progress(requests: readonly JourneyEvent[], ...rules: Rule[]): Answer | null {
    const newest = newestOf(requests)
    if (!newest) return null
    telling ??= readTelling()
    const found = new Set<Answer>()
    for (const request of requests) {
      if (!surelyAfter(newest, request)) found.add(best(rules, telling, request))
    }
    return found.has('no') ? 'no' : found.has('perhaps') ? 'perhaps' : 'yes'
  }

  return { answers, settles, progress }
}

/** What the best of these events is to a request. */
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
