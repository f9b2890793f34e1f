import type { EventKind } from './event.ts'
import {
  type JourneyEvent,
  RESUBMISSION_REQUESTED,
  reviewIn,
  surelyAfter,
  VERDICTS,
} from './journey-event.ts'

/** What IDWise asked of the user after completion, and whether it came. */
export type Requests = {
  /** A Finished Journey that answers a request for steps. */
  isSecondCompletion(event: JourneyEvent): boolean
  resubmission(): 'open' | 'done' | null
  renewal(): 'open' | 'overdue' | 'done' | null
}

export function createRequests(events: readonly JourneyEvent[]): Requests {
  const ofKind = (kind: EventKind) => events.filter((event) => event.kind === kind)
  const asked = ofKind('verification_update_required')
  const renewals = asked.filter(({ trigger }) => /^kyc renewal$/i.test(trigger?.trim() ?? ''))
  const resubmissions = events.filter(
    (event) =>
      event.manualDecision === RESUBMISSION_REQUESTED || (asked.includes(event) && !renewals.includes(event)),
  )
  const deadlines = ofKind('kyc_renewal_deadline_exceeded')
  const completions = ofKind('finished_journey')
  const completed = completions.reduce((sum, { count }) => sum + count, 0)

  // A request quotes the decision of its time: of several completions, one that says otherwise came after it.
  const isQuoted = ({ systemDecision }: JourneyEvent) =>
    asked.some((request) => request.systemDecision === systemDecision)
  const quotesOne = completed > 1 && completions.some(isQuoted)

  function isSecondCompletion(event: JourneyEvent): boolean {
    if (event.kind !== 'finished_journey') return false
    if (asked.some((request) => surelyAfter(event, request))) return true
    return quotesOne && !isQuoted(event) && asked.some((request) => !surelyAfter(request, event))
  }

  const isVerdict = (event: JourneyEvent) =>
    (event.kind === 'updated_journey' || event.kind === 'manually_reviewed') &&
    VERDICTS.has(reviewIn(event) ?? '')
  // A review completes a journey too; without one a second completion can only be the answer to a request.
  const completedAgain = completed > 1 && !events.some(isVerdict)

  function isAnswered(request: JourneyEvent): boolean {
    return events.some((event) => {
      if (surelyAfter(request, event)) return false
      if (event.kind === 'finished_journey' && completedAgain) return true
      if (event.kind === 'updated_journey' && /^step update$/i.test(event.action?.trim() ?? '')) return true
      if (isSecondCompletion(event)) return true
      return (
        (event.kind === 'finished_step' || event.kind === 'finished_user_steps') &&
        surelyAfter(event, request)
      )
    })
  }

  return {
    isSecondCompletion,
    resubmission() {
      const request = latest(resubmissions)
      if (!request) return null
      const verdict = events.some((event) => isVerdict(event) && !surelyAfter(request, event))
      return verdict || isAnswered(request) ? 'done' : 'open'
    },
    renewal() {
      const request = latest([...renewals, ...deadlines])
      if (!request) return null
      if (isAnswered(request)) return 'done'
      const deadline = latest(deadlines)
      const renewed = latest(renewals)
      return deadline && !(renewed && surelyAfter(renewed, deadline)) ? 'overdue' : 'open'
    },
  }
}

function latest(events: readonly JourneyEvent[]): JourneyEvent | undefined {
  return events.reduce<JourneyEvent | undefined>(
    (last, event) => (last && last.lastAt >= event.lastAt ? last : event),
    undefined,
  )
}
