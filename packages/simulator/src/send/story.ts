import type { Mix, Outcome } from './mix.ts'
import { type Draft, encode, type Payload, type Shape, type Style } from './payload.ts'
import type { Random } from './random.ts'

/** What IDWise says about one journey from its first step on: a list of happenings, each with the events it sets off. */
export function tellStory(outcome: Exclude<Outcome, 'test'>, mix: Mix, random: Random): Payload[][] {
  const story = createStory(random, mix)
  TELL[outcome](story)
  if (random.chance(mix['unknown-events']))
    story.happens(['Archived Journey', { archivedBy: 'retention-policy' }])
  return story.moments
}

/** The journey as it goes on: the decisions that stand, and the events so far. */
type Story = {
  readonly random: Random
  readonly moments: Payload[][]
  /** What the checks say where one has failed: `Refer`, or now and then a word that no page lists. */
  readonly refer: string
  system: string
  manual: string | null
  happens(...events: Happening[]): void
}

type Happening = string | [event: string, fields: Record<string, unknown>]

const TELL: Readonly<Record<Exclude<Outcome, 'test'>, (story: Story) => void>> = {
  approved,
  reviewed,
  resubmitted,
  renewed,
  monitored,
  'spot-checked': spotChecked,
  abandoned: (story) => steps(story),
}

function approved(story: Story): void {
  steps(story)
  story.happens('Finished User Steps')
  story.system = 'Complete'
  story.happens('Finished Journey')
}

function referred(story: Story): void {
  steps(story)
  story.happens('Finished User Steps')
  story.system = story.refer
  story.happens('Finished Journey')
}

function reviewed(story: Story): void {
  referred(story)
  review(story)
  // A reviewer may come back to a case.
  if (story.random.chance(0.1)) review(story)
}

function resubmitted(story: Story): void {
  referred(story)
  story.manual = 'Resubmission Requested'
  story.happens(
    ['Updated Journey', reviewDetails(story)],
    [
      'Verification Update Required',
      { trigger: 'Manual Review', requiredSteps: required('RESUBMIT_BAD_QUALITY') },
    ],
  )
  if (story.random.chance(0.2)) return
  step(story, '20', 'Document')
  story.system = story.random.chance(0.7) ? 'Complete' : 'Refer'
  story.happens(['Updated Journey', { action: 'Step Update' }])
  review(story)
}

function renewed(story: Story): void {
  approved(story)
  story.happens([
    'Verification Update Required',
    { trigger: 'KYC Renewal', requiredSteps: required('DOCUMENT_EXPIRY_DUE') },
  ])
  if (story.random.chance(0.3)) {
    const requiredSteps = [{ stepId: '20', renewalDeadline: '2026-12-31T00:00:00Z' }]
    story.happens(['KYC Renewal Deadline Exceeded', { requiredSteps }])
    return
  }
  step(story, '20', 'Document')
  story.system = story.random.chance(0.85) ? 'Complete' : 'Refer'
  story.happens('Finished Journey')
}

function monitored(story: Story): void {
  approved(story)
  const updates = 1 + story.random.below(5)
  for (let version = 1; version <= updates; version++) {
    const previousSystemDecision = story.system
    if (story.random.chance(0.6)) story.system = story.system === 'Complete' ? 'Refer' : 'Complete'
    const update = { previousSystemDecision, updatedAMLVersionNumber: version }
    if (story.random.chance(0.5)) story.happens(['AML Monitor Update', update])
    else story.happens(['AML Monitor Update', update], ['Updated Journey', { action: 'AML OGM Update' }])
    if (story.system === 'Refer' && story.random.chance(0.3)) review(story)
  }
}

function spotChecked(story: Story): void {
  approved(story)
  const enrolled = story.system
  for (let checks = 1 + story.random.below(3); checks > 0; checks--) {
    // The decision of the check, not of the journey.
    story.system = story.random.chance(0.9) ? 'Complete' : 'Refer'
    story.happens(['Finished Spot Check', { checkId: story.random.hex(24) }])
  }
  story.system = enrolled
}

function steps(story: Story): void {
  const ids: [string, string][] = [
    ['1', 'Document'],
    ['2', 'Document'],
    ['10', 'Document'],
    ['50', 'Selfie'],
  ]
  for (const [id, type] of ids.slice(story.random.below(ids.length))) step(story, id, type)
}

function step(story: Story, stepId: string, stepType: string): void {
  story.happens(['Finished Step', { stepId, stepType }])
}

/** Which events a review sets off depends on what the account has subscribed to. */
function review(story: Story): void {
  story.manual = story.random.chance(0.75) ? 'Approved' : 'Rejected'
  const update: Happening = ['Updated Journey', reviewDetails(story)]
  const events = story.random.pick([
    ['Manually Reviewed'],
    [update],
    ['Finished Journey', 'Manually Reviewed', update],
  ] satisfies [Happening[], Happening[], Happening[]])
  story.happens(...events)
}

function reviewDetails(story: Story): Record<string, unknown> {
  return { action: 'Manual Review', manualReviewDetails: { journeyReviewDecision: story.manual } }
}

function required(reasonCode: string) {
  return [{ stepId: '20', reasonCode }]
}

function createStory(random: Random, mix: Mix): Story {
  const style = createStyle(random, mix)
  const story: Story = {
    random,
    moments: [],
    refer: random.chance(mix['unknown-decisions']) ? 'Escalated' : 'Refer',
    system: 'Incomplete',
    manual: null,
    happens(...events) {
      const drafts = events.map((event): Draft => {
        const [name, fields] = typeof event === 'string' ? [event, {}] : event
        return { event: name, fields, system: story.system, manual: story.manual }
      })
      const moment = drafts
        .map((draft) => encode(draft, style, random))
        .filter((payload) => payload !== undefined)
      if (moment.length > 0) story.moments.push(moment)
    },
  }
  return story
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
