import type { JourneyEvent } from './event.ts'
import { RESUBMISSION_REQUESTED } from './event-rules.ts'

/**
 * What IDWise asked of the user, by what it asked for, and the journey's completions.
 *
 * - `notices`: Verification Update Required, for whatever reason;
 * - `renewals`: those of them for a KYC renewal;
 * - `deadlines`: of a renewal, exceeded;
 * - `resubmissions`: of steps, by a notice or a review;
 * - `all`: renewals, deadlines and resubmissions, without events that only quote one.
 */
export function sortRequests(events: readonly JourneyEvent[]) {
  const notices: JourneyEvent[] = []
  const renewals: JourneyEvent[] = []
  const deadlines: JourneyEvent[] = []
  const completions: JourneyEvent[] = []
  const quoting: JourneyEvent[] = []
  const asking: JourneyEvent[] = []
  for (const event of events) {
    const quotes = event.manualDecision === RESUBMISSION_REQUESTED
    if (quotes) quoting.push(event)
    if (event.kind === 'verification_update_required') {
      notices.push(event)
      const isRenewal = /^kyc[\s_-]*renewal$/i.test(event.trigger?.trim() ?? '')
      if (isRenewal) renewals.push(event)
      else asking.push(event)
    } else if (event.kind === 'kyc_renewal_deadline_exceeded') deadlines.push(event)
    else if (event.kind === 'finished_journey') completions.push(event)
    else if (quotes && isReview(event)) asking.push(event)
  }
  // An account may be sent only events that quote the request, not the request.
  const resubmissions = asking.length > 0 ? asking : quoting
  const all = [...renewals, ...deadlines, ...asking]
  return { notices, renewals, deadlines, completions, resubmissions, all }
}

/** An event by which a reviewer decides; those of other kinds and actions quote an earlier decision. */
function isReview({ kind, action }: JourneyEvent): boolean {
  if (kind === 'updated_journey') return !/^(step update|aml\b)/i.test(action?.trim() ?? '')
  return kind === 'manually_reviewed'
}
