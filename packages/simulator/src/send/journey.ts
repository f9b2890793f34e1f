import type { Mix, Outcome } from './mix.ts'
import { type Draft, encode, type Payload, type Shape, type Style } from './payload.ts'
import type { Random } from './random.ts'

/** The events that IDWise sends about one journey, from its first step on: a list of moments, each with its events. */
export function playJourney(outcome: Exclude<Outcome, 'test'>, mix: Mix, random: Random): Payload[][] {
  const journey = startJourney(random, mix)
  PLAY[outcome](journey)
  if (random.chance(mix['unknown-events']))
    journey.record(['Archived Journey', { archivedBy: 'retention-policy' }])
  return journey.moments
}

/** A journey as it goes on: its present decisions, and its events so far. */
type Journey = {
  readonly random: Random
  readonly moments: Payload[][]
  /** The decision when a check has failed: `Refer`, or sometimes a word that no page lists. */
  readonly refer: string
  system: string
  manual: string | null
  record(...events: Occurrence[]): void
}

type Occurrence = string | [event: string, fields: Record<string, unknown>]

const PLAY: Readonly<Record<Exclude<Outcome, 'test'>, (journey: Journey) => void>> = {
  approved,
  reviewed,
  resubmitted,
  renewed,
  monitored,
  'spot-checked': spotChecked,
  abandoned: (journey) => steps(journey),
}

function approved(journey: Journey): void {
  steps(journey)
  journey.record('Finished User Steps')
  journey.system = 'Complete'
  journey.record('Finished Journey')
}

function referred(journey: Journey): void {
  steps(journey)
  journey.record('Finished User Steps')
  journey.system = journey.refer
  journey.record('Finished Journey')
}

function reviewed(journey: Journey): void {
  referred(journey)
  review(journey)
  // A reviewer may open a case again.
  if (journey.random.chance(0.1)) review(journey)
}

function resubmitted(journey: Journey): void {
  referred(journey)
  journey.manual = 'Resubmission Requested'
  journey.record(
    ['Updated Journey', reviewDetails(journey)],
    [
      'Verification Update Required',
      { trigger: 'Manual Review', requiredSteps: required('RESUBMIT_BAD_QUALITY') },
    ],
  )
  if (journey.random.chance(0.2)) return
  step(journey, '20', 'Document')
  journey.system = journey.random.chance(0.7) ? 'Complete' : 'Refer'
  journey.record(['Updated Journey', { action: 'Step Update' }])
  review(journey)
}

function renewed(journey: Journey): void {
  approved(journey)
  journey.record([
    'Verification Update Required',
    { trigger: 'KYC Renewal', requiredSteps: required('DOCUMENT_EXPIRY_DUE') },
  ])
  if (journey.random.chance(0.3)) {
    const requiredSteps = [{ stepId: '20', renewalDeadline: '2026-12-31T00:00:00Z' }]
    journey.record(['KYC Renewal Deadline Exceeded', { requiredSteps }])
    return
  }
  step(journey, '20', 'Document')
  journey.system = journey.random.chance(0.85) ? 'Complete' : 'Refer'
  journey.record('Finished Journey')
}

function monitored(journey: Journey): void {
  approved(journey)
  const updates = 1 + journey.random.below(5)
  for (let version = 1; version <= updates; version++) {
    const previousSystemDecision = journey.system
    if (journey.random.chance(0.6)) journey.system = journey.system === 'Complete' ? 'Refer' : 'Complete'
    const update = { previousSystemDecision, updatedAMLVersionNumber: version }
    if (journey.random.chance(0.5)) journey.record(['AML Monitor Update', update])
    else journey.record(['AML Monitor Update', update], ['Updated Journey', { action: 'AML OGM Update' }])
    if (journey.system === 'Refer' && journey.random.chance(0.3)) review(journey)
  }
}

function spotChecked(journey: Journey): void {
  approved(journey)
  const enrolled = journey.system
  for (let checks = 1 + journey.random.below(3); checks > 0; checks--) {
    // The decision of the check, not of the journey.
    journey.system = journey.random.chance(0.9) ? 'Complete' : 'Refer'
    journey.record(['Finished Spot Check', { checkId: journey.random.hex(24) }])
  }
  journey.system = enrolled
}

function steps(journey: Journey): void {
  const ids: [string, string][] = [
    ['1', 'Document'],
    ['2', 'Document'],
    ['10', 'Document'],
    ['50', 'Selfie'],
  ]
  for (const [id, type] of ids.slice(journey.random.below(ids.length))) step(journey, id, type)
}

function step(journey: Journey, stepId: string, stepType: string): void {
  journey.record(['Finished Step', { stepId, stepType }])
}

/** The events of a review depend on the webhooks that the account has subscribed to. */
function review(journey: Journey): void {
  journey.manual = journey.random.chance(0.75) ? 'Approved' : 'Rejected'
  const update: Occurrence = ['Updated Journey', reviewDetails(journey)]
  const events = journey.random.pick([
    ['Manually Reviewed'],
    [update],
    ['Finished Journey', 'Manually Reviewed', update],
  ] satisfies [Occurrence[], Occurrence[], Occurrence[]])
  journey.record(...events)
}

function reviewDetails(journey: Journey): Record<string, unknown> {
  return { action: 'Manual Review', manualReviewDetails: { journeyReviewDecision: journey.manual } }
}

function required(reasonCode: string) {
  return [{ stepId: '20', reasonCode }]
}

function startJourney(random: Random, mix: Mix): Journey {
  const style = createStyle(random, mix)
  const journey: Journey = {
    random,
    moments: [],
    refer: random.chance(mix['unknown-decisions']) ? 'Escalated' : 'Refer',
    system: 'Incomplete',
    manual: null,
    record(...events) {
      const drafts = events.map((event): Draft => {
        const [name, fields] = typeof event === 'string' ? [event, {}] : event
        return { event: name, fields, system: journey.system, manual: journey.manual }
      })
      const moment = drafts
        .map((draft) => encode(draft, style, random))
        .filter((payload) => payload !== undefined)
      if (moment.length > 0) journey.moments.push(moment)
    },
  }
  return journey
}

function createStyle(random: Random, mix: Mix): Style {
  const shape: Shape = random.chance(mix['old-shapes'])
    ? random.pick(['middle', 'first', 'oldest'])
    : 'current'
  const extraFields = random.chance(mix['extra-fields'])
  const number = 10_000_000 + random.below(90_000_000)
  const references = [`CUST-${number}`, `840-2026-${number}`, random.hex(12), random.uuid()] as const
  const referenceNo = extraFields && random.chance(0.2) ? number : random.pick(references)
  return {
    shape,
    journeyId: random.hex(24),
    referenceNo: random.chance(mix['null-references']) ? null : referenceNo,
    extraFields,
    misspelt: random.chance(mix.misspelt),
    stepFields: random.chance(0.5),
  }
}
