import { type JourneyEvent, RESUBMISSION_REQUESTED } from './event.ts'

/** The requests among these events, by what they ask for, and the completions beside them. */
export function sortedOut(events: readonly JourneyEvent[]) {
  const asked: JourneyEvent[] = []
  const renewals: JourneyEvent[] = []
  const deadlines: JourneyEvent[] = []
  const completions: JourneyEvent[] = []
  const quoting: JourneyEvent[] = []
  const asking: JourneyEvent[] = []
  for (const event of events) {
    const quotes = event.manualDecision === RESUBMISSION_REQUESTED
    if (quotes) quoting.push(event)
    if (event.kind === 'verification_update_required') {
      asked.push(event)
      const isRenewal = /^kyc[\s_-]*renewal$/i.test(event.trigger?.trim() ?? '')
      if (isRenewal) renewals.push(event)
      else asking.push(event)
    } else if (event.kind === 'kyc_renewal_deadline_exceeded') deadlines.push(event)
    else if (event.kind === 'finished_journey') completions.push(event)
    else if (quotes && isReview(event)) asking.push(event)
  }
  // An account may be sent only events that quote the request, not the request.
  const resubmissions = asking.length > 0 ? asking : quoting
  return {
    asked,
    renewals,
    deadlines,
    completions,
    resubmissions,
    all: [...renewals, ...deadlines, ...asking],
  }
}

/** An event by which a reviewer decides; those of other kinds and actions quote what one has decided. */
function isReview({ kind, action }: JourneyEvent): boolean {
  if (kind === 'updated_journey') return !/^(step update|aml\b)/i.test(action?.trim() ?? '')
  return kind === 'manually_reviewed'
}
