import { type ExpectedJourney, expectedJourney, type LandedEvent } from './model.ts'
import type { Found, JourneyRow, Rows } from './report.ts'

/**
 * Compares the receiver's journeys with the model. Where the receiver says itself that a journey needs attention, a
 * decision that differs is left open: it could not know the order in which things happened. Journeys that the ledger
 * does not know are another run's.
 *
 * @param landed events by `journeyKey`; emptied on the way
 * @returns how many fields were left open
 */
export async function compareJourneys(
  rows: Rows<JourneyRow>,
  landed: Map<string, LandedEvent[]>,
  found: Found,
): Promise<number> {
  let leftOpen = 0
  for await (const row of rows) {
    const key = journeyKey(row.environment, row.journey_id)
    const events = landed.get(key)
    if (!events) continue
    landed.delete(key)
    const { differences, open } = compare(row, expectedJourney(events))
    leftOpen += open
    if (differences.length > 0) found('differs', `journey ${key}: ${differences.join(', ')}`)
  }
  for (const key of landed.keys()) found('differs', `journey ${key} has events but no row`)
  return leftOpen
}

export function journeyKey(environment: string, journeyId: string): string {
  return `${environment} ${journeyId}`
}

const DECISIONS: ReadonlySet<string> = new Set(['systemDecision', 'manualDecision', 'finalDecision'])

function compare(row: JourneyRow, expected: ExpectedJourney): { differences: string[]; open: number } {
  const differing = (
    [
      ['referenceNo', row.reference_no, expected.referenceNo],
      ['systemDecision', row.system_decision, expected.systemDecision],
      ['manualDecision', row.manual_decision, expected.manualDecision],
      ['finalDecision', row.final_decision, expected.finalDecision],
      ['amlVersion', row.aml_version, expected.amlVersion],
      ['events', row.events, expected.events],
    ] as const
  ).filter(([, is, should]) => is !== should)
  const open = row.needs_attention === null ? [] : differing.filter(([field]) => DECISIONS.has(field))
  const differences = differing
    .filter((difference) => !open.includes(difference))
    .map(([field, is, should]) => `${field} is ${is}, should be ${should}`)
  if (expected.needsAttention && row.needs_attention === null) differences.push('needs_attention is not set')
  return { differences, open: open.length }
}
