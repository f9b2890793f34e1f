import { REDELIVERY_SPAN_MS } from '../src/idwise/schedule.ts'
import type { Claim } from '../src/journey/claims.ts'
import type { JourneyEvent } from '../src/journey/event.ts'
import {
  contradictsItself,
  decides,
  isStepUpdate,
  RESUBMISSION_REQUESTED,
  reviewIn,
  surelyAfter,
  tooClose,
  VERDICTS,
} from '../src/journey/event-rules.ts'
import { PRECEDENCE, precedenceOfKind } from '../src/journey/precedence.ts'
import type { UpdateRequests } from '../src/journey/update-requests.ts'

/** The rules of the fold in their plainest form: each event is compared with each other one. */

const CAUTION = ['Rejected', 'Refer', 'Resubmission Requested', 'Incomplete', 'Complete', 'Approved']
const isOneOf = (events: readonly JourneyEvent[], event: JourneyEvent) => events.includes(event)
const sentAfter = (event: JourneyEvent, other: JourneyEvent) =>
  event.lastAt - other.firstAt > REDELIVERY_SPAN_MS
const action = (event: JourneyEvent) => event.action?.trim().toLowerCase() ?? ''

export function plainResolveClaims(claims: readonly Claim[]): { value: string | null; contested: string[] } {
  const supersedes = (claim: Claim, other: Claim) => {
    if (surelyAfter(claim, other) || surelyAfter(other, claim)) return claim.lastAt > other.lastAt
    if (claim.precedence !== other.precedence) return claim.precedence > other.precedence
    return claim.replaces && other.isReplaced && claim.value !== other.value
  }
  const current = claims.filter((claim) => !claims.some((other) => supersedes(other, claim)))
  const highest = claims.filter((claim) => claims.every(({ precedence }) => precedence <= claim.precedence))
  const values = (current.length > 0 ? current : highest).map(({ value }) => value)
  const ordered = [...new Set(values)].sort(
    (a, b) => CAUTION.indexOf(a) - CAUTION.indexOf(b) || (a < b ? -1 : 1),
  )
  return { value: ordered[0] ?? null, contested: ordered.length > 1 ? ordered : [] }
}

export function plainRequests(events: readonly JourneyEvent[]): UpdateRequests {
  const asked = events.filter(({ kind }) => kind === 'verification_update_required')
  const renewals = asked.filter(({ trigger }) => /^kyc[\s_-]*renewal$/i.test(trigger?.trim() ?? ''))
  const deadlines = events.filter(({ kind }) => kind === 'kyc_renewal_deadline_exceeded')
  const completions = events.filter(({ kind }) => kind === 'finished_journey')
  const quoting = events.filter(({ manualDecision }) => manualDecision === RESUBMISSION_REQUESTED)
  const isReview = (event: JourneyEvent) =>
    event.kind === 'manually_reviewed' ||
    (event.kind === 'updated_journey' && !/^(step update|aml\b)/.test(action(event)))
  const asking = events.filter((event) =>
    isOneOf(asked, event) ? !isOneOf(renewals, event) : isOneOf(quoting, event) && isReview(event),
  )
  const all = [...asked, ...deadlines, ...asking]

  const isQuoted = (event: JourneyEvent) =>
    asked.some((request) => request.systemDecision === event.systemDecision)
  const statesOther = (event: JourneyEvent, request: JourneyEvent) =>
    request.systemDecision !== null &&
    request.systemDecision !== event.systemDecision &&
    completions.some((completion) => completion.systemDecision === request.systemDecision)
  const isSecondCompletion = (event: JourneyEvent) =>
    isOneOf(completions, event) &&
    ([...asked, ...deadlines].some((request) => sentAfter(event, request)) ||
      (!isQuoted(event) &&
        asked.some((request) => !surelyAfter(request, event) && statesOther(event, request))))
  const mayFollowAnother = (event: JourneyEvent) =>
    event.count > 1 ||
    completions.some((other) => other !== event && !(other.firstAt - event.lastAt > REDELIVERY_SPAN_MS))

  const isVerdict = (event: JourneyEvent) =>
    ['updated_journey', 'manually_reviewed'].includes(event.kind) && VERDICTS.has(reviewIn(event) ?? '')
  const fellAfterAnswer = (event: JourneyEvent) => {
    const { systemDecision } = event
    const sources = events.filter(
      (source) =>
        (decides(source) && source.systemDecision === systemDecision) ||
        source.previousSystemDecision === systemDecision,
    )
    return (
      isVerdict(event) &&
      systemDecision !== null &&
      sources.length > 0 &&
      sources.every((source) => isStepUpdate(source) || isSecondCompletion(source)) &&
      all.every((request) => ![null, systemDecision].includes(request.systemDecision))
    )
  }

  const answers = (event: JourneyEvent, request: JourneyEvent) => {
    if (surelyAfter(request, event)) return 'no'
    const after = surelyAfter(event, request)
    if (event.kind === 'finished_journey') {
      if (after || (statesOther(event, request) && !isQuoted(event))) return 'yes'
      return mayFollowAnother(event) ? 'perhaps' : 'no'
    }
    if (isStepUpdate(event)) {
      if (after || event.systemDecision !== request.systemDecision) return 'yes'
      return all.some((other) => sentAfter(event, other)) ? 'perhaps' : 'yes'
    }
    return after && ['finished_step', 'finished_user_steps'].includes(event.kind) ? 'yes' : 'no'
  }
  const settles = (event: JourneyEvent, request: JourneyEvent) => {
    if (!isVerdict(event) || surelyAfter(request, event)) return 'no'
    return surelyAfter(event, request) || fellAfterAnswer(event) ? 'yes' : 'perhaps'
  }
  const progress = (requests: readonly JourneyEvent[], ...rules: (typeof answers)[]) => {
    const last = requests.filter((request) => !requests.some((other) => surelyAfter(other, request)))
    const found = last.map((request) => {
      const each = events.flatMap((event) => rules.map((rule) => rule(event, request)))
      return each.includes('yes') ? 'yes' : each.includes('perhaps') ? 'perhaps' : 'no'
    })
    const isDone = found.every((answer) => answer === 'yes')
    return {
      state: found.length === 0 ? null : isDone ? ('done' as const) : ('open' as const),
      unsure: !isDone && !found.includes('no'),
    }
  }
  const renewal = progress([...renewals, ...deadlines], answers)
  const isOverdue = deadlines.some((deadline) => !renewals.some((renewed) => surelyAfter(renewed, deadline)))
  return {
    isSecondCompletion,
    isQuoted,
    mayFollowAnother,
    isCloseToRequest: (event) => asked.some((request) => tooClose(event, request)),
    fellAfterAnswer,
    resubmission: progress(asking.length > 0 ? asking : quoting, answers, settles),
    renewal: { ...renewal, state: renewal.state === 'open' && isOverdue ? 'overdue' : renewal.state },
  }
}

export function plainReplaced(
  events: readonly JourneyEvent[],
  requests: UpdateRequests,
  event: JourneyEvent,
) {
  const { systemDecision } = event
  const sources = events.filter((source) => decides(source) && source.systemDecision === systemDecision)
  const isQuote =
    !decides(event) || (event.kind === 'finished_journey' && !requests.isSecondCompletion(event))
  return (
    systemDecision !== null &&
    events.some(({ previousSystemDecision }) => previousSystemDecision === systemDecision) &&
    (isQuote || sources.reduce((sum, { count }) => sum + count, 0) <= 1)
  )
}

export function plainDoubtful(
  events: readonly JourneyEvent[],
  value: string | null,
  requests: UpdateRequests,
  isReplaced: (event: JourneyEvent) => boolean,
): JourneyEvent[] {
  const later = events.filter(
    ({ kind, systemDecision }) =>
      (precedenceOfKind(kind) ?? 0) > PRECEDENCE.completion && systemDecision !== null,
  )
  const mayBeNews = (event: JourneyEvent) =>
    requests.isSecondCompletion(event) ||
    (!requests.isQuoted(event) && (requests.mayFollowAnother(event) || requests.isCloseToRequest(event)))
  return events.filter(
    (event) =>
      event.kind === 'finished_journey' &&
      event.systemDecision !== null &&
      event.systemDecision !== value &&
      !isReplaced(event) &&
      mayBeNews(event) &&
      !later.some((other) => surelyAfter(other, event)) &&
      later.some((other) => other.systemDecision !== event.systemDecision && tooClose(other, event)),
  )
}

export function plainContradictions(events: readonly JourneyEvent[]): JourneyEvent[] {
  const deciding = events.filter(
    ({ kind, finalDecision }) => precedenceOfKind(kind) !== undefined && finalDecision !== null,
  )
  return deciding.filter(
    (event) =>
      contradictsItself(event) &&
      !deciding.some((other) => !contradictsItself(other) && surelyAfter(other, event)),
  )
}
