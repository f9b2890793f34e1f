import type { Facts } from './facts.ts'

/**
 * What a receiver should say about a journey, by somebody who knows in which order things happened there: the sender.
 * Payloads carry no time, so a receiver has to find this out from what the events say ("IDWise Webhook Types",
 * "Updated Journey Webhook", "AML Monitor Update Webhook"):
 *
 * - Each event quotes the decisions of its time, so the last one that has any tells the journey's. Finished Spot Check
 *   and Finished Ongoing Check quote those of the check, and what an unknown event means nobody knows.
 * - A null manual decision means "not reviewed" and takes nothing back. The final decision is the manual one where
 *   there is one, else the system's. An event of the oldest shape has no `manualDecision`; there a `finalDecision` that
 *   differs from the system's tells of a review.
 * - The AML version is the highest one.
 * - Unknown events, and unknown decisions that stand, need attention.
 */
export function expectedJourney(landed: readonly LandedEvent[]): ExpectedJourney {
  const inOrder = landed.toSorted((a, b) => a.moment - b.moment)
  const last = (read: (facts: Facts) => string | null, events = inOrder) =>
    events.map(({ facts }) => read(facts)).findLast((value) => value !== null) ?? null
  const telling = inOrder.filter(({ facts }) => OF_THE_JOURNEY.has(facts.name))
  const systemDecision = last((facts) => facts.systemDecision, telling)
  const manualDecision = last(reviewIn, telling)
  const versions = landed.map(({ facts }) => facts.amlVersion).filter((version) => version !== null)
  return {
    referenceNo: last((facts) => facts.referenceNo),
    systemDecision,
    manualDecision,
    finalDecision: manualDecision ?? systemDecision,
    amlVersion: versions.length > 0 ? Math.max(...versions) : null,
    events: landed.length,
    needsAttention:
      landed.some(({ facts }) => !OF_THE_JOURNEY.has(facts.name) && !OTHERS.has(facts.name)) ||
      [systemDecision, manualDecision].some((value) => value !== null && !KNOWN_DECISIONS.has(value)),
  }
}

export type LandedEvent = {
  readonly facts: Facts
  /** Its place in the journey; events that one happening has set off share it. */
  readonly moment: number
}

export type ExpectedJourney = {
  readonly referenceNo: string | null
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  readonly finalDecision: string | null
  readonly amlVersion: number | null
  /** Different events of the journey, however often each was delivered. */
  readonly events: number
  /** The receiver must ask for a look; where this is false it may all the same. */
  readonly needsAttention: boolean
}

const OF_THE_JOURNEY: ReadonlySet<string> = new Set([
  'step submitted',
  'finished step',
  'finished user steps',
  'finished journey',
  'updated journey',
  'verification update required',
  'aml monitor update',
  'manually reviewed',
])
const OTHERS: ReadonlySet<string> = new Set([
  'kyc renewal deadline exceeded',
  'finished spot check',
  'finished ongoing check',
])
const KNOWN_DECISIONS: ReadonlySet<string> = new Set([
  'Complete',
  'Incomplete',
  'Refer',
  'Approved',
  'Rejected',
  'Resubmission Requested',
])

function reviewIn({ manualDecision, systemDecision, finalDecision }: Facts): string | null {
  return manualDecision ?? (finalDecision === systemDecision ? null : finalDecision)
}
