import { claims, type Field, readAttention } from './attention.ts'
import {
  type ExpectedJourney,
  expectedJourney,
  finalFor,
  type LandedEvent,
  needsAttentionFor,
  stageFor,
} from './model.ts'
import type { Found, JourneyRow, Rows } from './report.ts'

/** The events of a journey that landed, and whether those are all that were sent. */
export type KnownJourney = { readonly landed: LandedEvent[]; complete: boolean }

/**
 * Compares the receiver's journeys with the model. A field that differs is left open only if the receiver reports that
 * it could not know it, has a reason for that, and has a value that the events allow. Journeys that are not in the
 * ledger belong to another run.
 *
 * @param known by `journeyKey`; is emptied
 * @returns how many fields were left open
 */
export async function compareJourneys(
  rows: Rows<JourneyRow>,
  known: Map<string, KnownJourney>,
  found: Found,
): Promise<number> {
  let leftOpen = 0
  for await (const row of rows) {
    const key = journeyKey(row.environment, row.journey_id)
    const journey = known.get(key)
    if (!journey) continue
    known.delete(key)
    const { differences, open } = compareJourney(row, journey)
    leftOpen += open
    if (differences.length > 0) found('differs', `journey ${key}: ${differences.join(', ')}`)
  }
  for (const key of known.keys()) found('differs', `journey ${key} has events but no row`)
  return leftOpen
}

export function journeyKey(environment: string, journeyId: string): string {
  return `${environment} ${journeyId}`
}

export function compareJourney(
  row: JourneyRow,
  { landed, complete }: KnownJourney,
): { differences: string[]; open: number } {
  const expected = expectedJourney(landed)
  const { doubts, unexplained } = readAttention(row.needs_attention, landed)
  const its = {
    systemDecision: row.system_decision,
    manualDecision: row.manual_decision,
    resubmission: row.resubmission,
    renewal: row.renewal,
  }
  const differing = (Object.keys(its) as Field[]).filter((field) => its[field] !== expected[field])
  const open = differing.filter(
    (field) =>
      doubts[field]?.includes(its[field]) ||
      mayBeEither(field, its[field], expected) ||
      (!complete && isPossible(field, its[field], landed)),
  )
  const differences = [
    ...differing
      .filter((field) => !open.includes(field))
      .map((field) => [field, its[field], expected[field]] as const),
    // These follow from the other columns of the row, also if one of them was left open.
    ...(
      [
        ['stage', row.stage, stageFor(landed, its)],
        ['finalDecision', row.final_decision, finalFor(its)],
        ['referenceNo', row.reference_no, expected.referenceNo],
        ['amlVersion', row.aml_version, expected.amlVersion],
        ['events', row.events, expected.events],
        ['firstEventAt', row.first_event_at.getTime(), expected.firstEventAt],
        ['lastEventAt', row.last_event_at.getTime(), expected.lastEventAt],
      ] as const
    ).filter(([, is, should]) => is !== should),
  ].map(([field, is, should]) => `${field} is ${is}, should be ${should}`)
  if (needsAttentionFor(landed, its) && row.needs_attention === null)
    differences.push('needs_attention is not set')
  for (const reason of unexplained)
    differences.push(`nothing explains that it needs attention for "${reason}"`)
  return { differences, open: open.length }
}

/** Whether both values are right: some steps were received, and no event says whether they were all. */
function mayBeEither(field: Field, value: string | null, expected: ExpectedJourney): boolean {
  return expected.stepsAlone && expected[field] === 'open' && value === 'done'
}

/** Whether a receiver of only these events may have this value. */
function isPossible(field: Field, value: string | null, landed: readonly LandedEvent[]): boolean {
  const names = landed.map(({ facts }) => facts.name)
  switch (field) {
    case 'systemDecision':
    case 'manualDecision':
      return claims(field, landed).has(value)
    case 'renewal':
      return value === 'overdue'
        ? names.includes('kyc renewal deadline exceeded')
        : names.includes('verification update required')
    case 'resubmission':
      return value === 'open' || value === 'done'
    default:
      return field satisfies never
  }
}
