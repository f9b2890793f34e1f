import type { Random } from './random.ts'

/**
 * The shape of an account's webhooks over the years ("IDWise Webhooks"). `current` is today's. `middle` has the same
 * six fields for every event. `first` (2023) and `oldest` (2022, without `manualDecision`) have no `eventId`.
 */
export type Shape = 'current' | 'middle' | 'first' | 'oldest'

/** The traits that all events of a journey share. */
export type Style = {
  readonly shape: Shape
  readonly journeyId: string
  readonly referenceNo: string | number | null
  readonly extraFields: boolean
  readonly misspelt: boolean
  readonly stepFields: boolean
}

/** An event before it has a shape: the decisions at its time, and the fields that only its type has. */
export type Draft = {
  readonly event: string
  readonly system: string
  readonly manual: string | null
  readonly fields?: Readonly<Record<string, unknown>>
}

export type Payload = {
  readonly eventId: string | null
  readonly bytes: Buffer
  readonly contentType?: string
  /** A test request of the portal: its bytes are the same in every run. */
  readonly test?: true
}

/** @returns undefined if the account's shape has no such type of event */
export function encode(draft: Draft, style: Style, random: Random): Payload | undefined {
  const event = nameIn(style.shape, draft.event)
  if (event === undefined) return undefined
  const withoutId = style.shape === 'first' || style.shape === 'oldest'
  const eventId = withoutId ? null : random.uuid()
  const body = { ...(eventId !== null && { eventId }), ...fieldsOf(event, draft, style) }
  const document = style.extraFields ? extended(event, body, random) : { event, body }
  if (style.misspelt) document.event = MISSPELT[event] ?? event
  return { eventId, bytes: Buffer.from(JSON.stringify(document)), contentType: 'application/json' }
}

/** These spellings are in the documentation ("AML Monitor Update Webhook"). */
const MISSPELT: Readonly<Record<string, string>> = {
  'AML Monitor Update': 'AML Monior Update',
  'Finished Spot Check': 'Finished spot Check',
}

const OLD_NAMES: Readonly<Record<string, string>> = {
  'Finished Step': 'Step Submitted',
  'Finished User Steps': 'Finished User Steps',
  'Finished Journey': 'Finished Journey',
  'Manually Reviewed': 'Manually Reviewed',
  'AML Monitor Update': 'AML Monitor Update',
}

function nameIn(shape: Shape, event: string): string | undefined {
  if (shape === 'current') return event
  if (shape === 'middle') return event === 'Finished Spot Check' ? 'Finished Ongoing Check' : event
  return OLD_NAMES[event]
}

function fieldsOf(event: string, draft: Draft, style: Style): Record<string, unknown> {
  const { system, manual, fields = {} } = draft
  const { journeyId, referenceNo, shape } = style
  const base = { journeyId, referenceNo }
  const decided = { ...base, systemDecision: system, manualDecision: manual, finalDecision: manual ?? system }
  const { stepId, stepType, checkId, ...own } = fields
  switch (event) {
    case 'Step Submitted':
      return { ...base, stepId, stepType }
    case 'Finished Spot Check':
      return { referenceNo, systemDecision: system, spotCheckJourneyId: checkId }
    case 'Finished Ongoing Check':
      return { ...base, systemDecision: system, ongoingCheckId: checkId }
    case 'KYC Renewal Deadline Exceeded':
      return { ...base, ...own }
    case 'Updated Journey':
    case 'Verification Update Required':
      return { ...decided, ...own }
    case 'Finished Step':
      return style.stepFields ? { ...base, stepId, stepType } : decided
  }
  if (shape === 'oldest') {
    const { manualDecision: _, ...rest } = decided
    return rest
  }
  if (shape !== 'current' || event === 'Manually Reviewed') return decided
  return { ...base, systemDecision: system, ...own }
}

/** Adds fields that no page lists, at both levels. Turns some numbers into text and some text into numbers. */
function extended(event: string, body: Record<string, unknown>, random: Random) {
  const version = body.updatedAMLVersionNumber
  const more = {
    ...(version !== undefined && { updatedAMLVersionNumber: String(version) }),
    ...(body.stepId !== undefined && { stepId: Number(body.stepId) }),
    flowId: random.uuid(),
    riskScore: 12.5,
    tags: ['vip', 'renewal'],
    device: { platform: 'ios', trusted: true },
    note: null,
  }
  return { event, body: { ...body, ...more }, apiVersion: '2027-01', sentAt: '2027-01-09T10:15:30.123Z' }
}

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'

/** The documentation does not say what the portal's test sends, so these are plausible ("Configure Webhook URLs"). */
const TEST_REQUESTS: readonly [Payload, ...Payload[]] = [
  { eventId: null, bytes: Buffer.alloc(0) },
  { eventId: null, bytes: Buffer.alloc(0), contentType: JSON_TYPE },
  { eventId: null, bytes: Buffer.from('{}'), contentType: JSON_TYPE },
  { eventId: null, bytes: Buffer.from('null'), contentType: JSON_TYPE },
  { eventId: null, bytes: Buffer.from('[]'), contentType: 'application/json; charset=utf-8' },
  { eventId: null, bytes: Buffer.from('This is a test.'), contentType: 'text/plain' },
  { eventId: null, bytes: Buffer.from('This is not JSON.'), contentType: JSON_TYPE },
  { eventId: null, bytes: Buffer.from('event=test&body=test'), contentType: FORM_TYPE },
  { eventId: null, bytes: Buffer.from([0x00, 0xff, 0xfe, 0x7b]), contentType: 'application/octet-stream' },
  { eventId: null, bytes: Buffer.from('{"event":"Test"}'), contentType: JSON_TYPE },
  { eventId: null, bytes: Buffer.from('{"event":"Finished Journey"}'), contentType: JSON_TYPE },
  { eventId: 'test', bytes: Buffer.from('{"event":"Test","body":{"eventId":"test"}}') },
]

export function testRequest(random: Random): Payload {
  return { ...random.pick(TEST_REQUESTS), test: true }
}
