import type { EventKind } from './event.ts'

/** Lists what is documented of the events: fields, types, values of closed sets ("IDWise Webhook Types"). */
type JsonType = 'text' | 'integer' | 'fraction' | 'boolean' | 'null' | 'object' | 'list'

type Field = {
  readonly types: readonly JsonType[]
  /** The texts that it may be, if they are listed somewhere; undefined for ids and free text. */
  readonly values?: ReadonlySet<string>
  /** Of an object, or of each object in a list. */
  readonly fields?: Fields
}
export type Fields = Readonly<Record<string, Field>>

export const SYSTEM_DECISIONS = ['Complete', 'Incomplete', 'Refer'] as const
export const MANUAL_DECISIONS = ['Approved', 'Rejected', 'Resubmission Requested'] as const
const FINAL_DECISIONS = [...SYSTEM_DECISIONS, ...MANUAL_DECISIONS]
/** Those of the samples; no page lists them all. */
const REASONS = ['RESUBMIT_BAD_QUALITY', 'DOCUMENT_EXPIRY_DUE', 'REJECT_NOT_ELIGIBLE']

const TEXT: Field = { types: ['text'] }
const oneOf = (values: readonly string[], ...more: JsonType[]): Field => ({
  types: ['text', ...more],
  values: new Set(values),
})
const steps = (fields: Fields): Field => ({ types: ['list'], fields: { stepId: TEXT, ...fields } })

/** Each event has had these in one of its shapes ("Webhook Specifications", older). */
const COMMON: Fields = {
  eventId: TEXT,
  journeyId: TEXT,
  // The customer's own number, and IDWise's API takes it as either.
  referenceNo: { types: ['text', 'integer', 'null'] },
  systemDecision: oneOf(SYSTEM_DECISIONS),
  manualDecision: oneOf(MANUAL_DECISIONS, 'null'),
  finalDecision: oneOf(FINAL_DECISIONS),
}

const STEP: Fields = { stepId: TEXT, stepType: oneOf(['Document', 'Selfie']) }
const REVIEW: Field = {
  types: ['object'],
  fields: { journeyReviewDecision: oneOf(MANUAL_DECISIONS), reasonCode: oneOf(REASONS) },
}

/** Of each event the fields that not all have. */
const OWN: Readonly<Record<Exclude<EventKind, 'unrecognised'>, Fields>> = {
  finished_step: STEP,
  finished_user_steps: {},
  finished_journey: {},
  updated_journey: {
    action: oneOf(['Step Update', 'AML Amend', 'AML OGM Update', 'Manual Review']),
    manualReviewDetails: REVIEW,
  },
  verification_update_required: {
    trigger: oneOf(['KYC Renewal', 'Manual Review']),
    requiredSteps: steps({ reasonCode: oneOf(REASONS) }),
  },
  kyc_renewal_deadline_exceeded: { requiredSteps: steps({ renewalDeadline: TEXT }) },
  aml_monitor_update: {
    previousSystemDecision: oneOf(FINAL_DECISIONS),
    updatedAMLVersionNumber: { types: ['integer'] },
  },
  finished_spot_check: { spotCheckJourneyId: TEXT },
  manually_reviewed: {},
  finished_ongoing_check: { ongoingCheckId: TEXT },
  step_submitted: STEP,
}

/** The fields of `body` by the kind of the event. */
export const FIELDS: ReadonlyMap<string, Fields> = new Map(
  Object.entries(OWN).map(([kind, own]) => [kind, { ...COMMON, ...own }]),
)

/** Besides a body without encoding. A worker decodes these. */
export const ENCODINGS: ReadonlySet<string> = new Set(['', 'identity', 'gzip', 'x-gzip'])

export function typeOf(value: unknown): JsonType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'list'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction'
  return typeof value === 'string' ? 'text' : typeof value === 'boolean' ? 'boolean' : 'object'
}
