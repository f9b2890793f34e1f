import type { Facts } from './facts.ts'

/**
 * The journey that a receiver should have. The sender knows in which order things happened. Payloads have no time, so a
 * receiver must find the order from their content ("IDWise Webhook Types", "Updated Journey Webhook", "AML Monitor
 * Update Webhook"):
 *
 * - Each event quotes the decisions of its time, so the last event that has a decision gives the journey's. Finished
 *   Spot Check and Finished Ongoing Check quote those of the check. The meaning of an unknown event is not known.
 * - A null manual decision means "not reviewed" and replaces nothing. The final decision is the manual one if there is
 *   one, else the system's. A request for steps is a decision only while the steps are awaited. An event of the oldest
 *   shape has no `manualDecision`: there a `finalDecision` of Approved or Rejected shows a review.
 * - A request for steps is open until something later answers it. After its deadline a renewal is overdue.
 * - The AML version is the highest one.
 * - Unknown events and unknown current decisions need attention.
 */
export function expectedJourney(landed: readonly LandedEvent[]): ExpectedJourney {
  const inOrder = landed.toSorted((a, b) => a.moment - b.moment)
  const last = (read: (facts: Facts) => string | null, events = inOrder) =>
    events.map(({ facts }) => read(facts)).findLast((value) => value !== null) ?? null
  const ofTheJourney = inOrder.filter(({ facts }) => OF_THE_JOURNEY.has(facts.name))
  const systemDecision = last((facts) => facts.systemDecision, ofTheJourney)
  const manualDecision = last(reviewIn, ofTheJourney)
  const versions = landed.map(({ facts }) => facts.amlVersion).filter((version) => version !== null)
  const resubmission = resubmissionIn(inOrder)
  const renewal = renewalIn(inOrder)
  const decisions = { systemDecision, manualDecision, resubmission: resubmission.state }
  return {
    referenceNo: last((facts) => facts.referenceNo),
    stage: stageFor(landed, { manualDecision, resubmission: resubmission.state, renewal: renewal.state }),
    systemDecision,
    manualDecision,
    finalDecision: finalFor(decisions),
    amlVersion: versions.length > 0 ? Math.max(...versions) : null,
    resubmission: resubmission.state,
    renewal: renewal.state,
    stepsAlone: resubmission.stepsAlone || renewal.stepsAlone,
    events: landed.length,
    firstEventAt: Math.min(...landed.map(({ at }) => at)),
    lastEventAt: Math.max(...landed.map(({ at }) => at)),
  }
}

export type LandedEvent = {
  readonly facts: Facts
  /** Its place in the journey. Events of one moment share it. */
  readonly moment: number
  /** The time of receipt by the receiver's clock, ms since 1970. */
  readonly at: number
}

export type ExpectedJourney = {
  readonly referenceNo: string | null
  readonly stage: string
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  readonly finalDecision: string | null
  readonly amlVersion: number | null
  readonly resubmission: string | null
  readonly renewal: string | null
  /** Steps followed a request, and no event says whether they were all: it may count as answered or not. */
  readonly stepsAlone: boolean
  /** Different events of the journey. */
  readonly events: number
  readonly firstEventAt: number
  readonly lastEventAt: number
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
export const SYSTEM_DECISIONS: ReadonlySet<string> = new Set(['Complete', 'Incomplete', 'Refer'])
export const MANUAL_DECISIONS: ReadonlySet<string> = new Set([
  'Approved',
  'Rejected',
  'Resubmission Requested',
])
const STEPS_AWAITED = 'Resubmission Requested'

export function isUnknown({ name }: Facts): boolean {
  return !OF_THE_JOURNEY.has(name) && !OTHERS.has(name)
}

export function reviewIn(facts: Facts): string | null {
  if (facts.hasManualDecision) return facts.manualDecision
  const isVerdict = facts.finalDecision === 'Approved' || facts.finalDecision === 'Rejected'
  return isVerdict && facts.systemDecision !== facts.finalDecision ? facts.finalDecision : null
}

export function finalFor(row: {
  systemDecision: string | null
  manualDecision: string | null
  resubmission: string | null
}): string | null {
  const stepsCame = row.manualDecision === STEPS_AWAITED && row.resubmission === 'done'
  return stepsCame ? row.systemDecision : (row.manualDecision ?? row.systemDecision)
}

/** Whether the receiver must ask for attention. If false, it still may. */
export function needsAttentionFor(
  landed: readonly LandedEvent[],
  { systemDecision, manualDecision }: { systemDecision: string | null; manualDecision: string | null },
): boolean {
  return (
    landed.some(({ facts }) => isUnknown(facts)) ||
    (systemDecision !== null && !SYSTEM_DECISIONS.has(systemDecision)) ||
    (manualDecision !== null && !MANUAL_DECISIONS.has(manualDecision))
  )
}

export function stageFor(
  landed: readonly LandedEvent[],
  row: { manualDecision: string | null; resubmission: string | null; renewal: string | null },
): string {
  if (row.renewal === 'overdue') return 'renewal_overdue'
  if (row.renewal === 'open' || row.resubmission === 'open') return 'update_required'
  if (row.manualDecision === 'Approved' || row.manualDecision === 'Rejected') return 'reviewed'
  const names = landed.map(({ facts }) => facts.name)
  if (names.some((name) => AFTER_COMPLETION.has(name))) return 'finished'
  if (names.includes('finished user steps')) return 'submitted'
  return names.some((name) => name === 'finished step' || name === 'step submitted')
    ? 'in_progress'
    : 'unknown'
}

/** Events that are sent only after a journey has been completed. */
const AFTER_COMPLETION: ReadonlySet<string> = new Set([
  'finished journey',
  'updated journey',
  'verification update required',
  'aml monitor update',
  'manually reviewed',
  'kyc renewal deadline exceeded',
  'finished ongoing check',
])

type Awaited = { state: string | null; stepsAlone: boolean }

function resubmissionIn(inOrder: readonly LandedEvent[]): Awaited {
  const asks = ({ name, trigger, manualDecision, action }: Facts) =>
    (name === 'verification update required' && trigger !== 'KYC Renewal') ||
    (name === 'updated journey' && action === 'Manual Review' && manualDecision === STEPS_AWAITED)
  const quotes = ({ manualDecision }: Facts) => manualDecision === STEPS_AWAITED
  const asked = inOrder.findLast(({ facts }) => asks(facts)) ?? inOrder.find(({ facts }) => quotes(facts))
  const verdicts = ({ facts }: LandedEvent) =>
    ['updated journey', 'manually reviewed'].includes(facts.name) &&
    /^(Approved|Rejected)$/.test(reviewIn(facts) ?? '')
  return awaited(inOrder, asked, 'open', verdicts)
}

function renewalIn(inOrder: readonly LandedEvent[]): Awaited {
  const asked = inOrder.findLast(
    ({ facts }) =>
      facts.name === 'kyc renewal deadline exceeded' ||
      (facts.name === 'verification update required' && facts.trigger === 'KYC Renewal'),
  )
  const isPast = asked?.facts.name === 'kyc renewal deadline exceeded'
  return awaited(inOrder, asked, isPast ? 'overdue' : 'open', () => false)
}

/** Whether something after a request has answered it. */
function awaited(
  inOrder: readonly LandedEvent[],
  asked: LandedEvent | undefined,
  open: string,
  alsoAnswers: (event: LandedEvent) => boolean,
): Awaited {
  if (!asked) return { state: null, stepsAlone: false }
  const later = inOrder.filter(({ moment }) => moment > asked.moment)
  const isAnswer = (event: LandedEvent) =>
    event.facts.name === 'finished journey' || event.facts.action === 'Step Update' || alsoAnswers(event)
  if (later.some(isAnswer)) return { state: 'done', stepsAlone: false }
  return { state: open, stepsAlone: later.some(({ facts }) => facts.name === 'finished step') }
}
