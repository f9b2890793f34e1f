import { gzipSync } from 'node:zlib'

/** One event that IDWise might send. */
export type Sample = { readonly bytes: Buffer; readonly environment: string }

let count = 0

/** An event of today's shape, with a new id. */
export function event(
  name: string,
  journeyId: string | null,
  fields: Record<string, unknown> = {},
): Sample & { readonly eventId: string } {
  const eventId = `event-${String(++count).padStart(4, '0')}`
  const about = { eventId, ...(journeyId !== null && { journeyId }), referenceNo: `REF-${journeyId}` }
  return { ...sample({ event: name, body: { ...about, ...fields } }), eventId }
}

function sample(document: unknown, environment: string = 'live'): Sample {
  return bytes(JSON.stringify(document), environment)
}

export function bytes(body: string | Buffer, environment: string = 'live'): Sample {
  return { bytes: Buffer.from(body), environment }
}

export const inSandbox = <S extends Sample>(given: S): S => ({ ...given, environment: 'sandbox' })

const decided = (system: string, manual: string | null = null) => ({
  systemDecision: system,
  manualDecision: manual,
  finalDecision: manual ?? system,
})

/** The events of a journey until its system decision. */
export function applied(journeyId: string, systemDecision = 'Complete'): Sample[] {
  return [
    event('Finished Step', journeyId, { stepId: '1', stepType: 'Document' }),
    event('Finished Step', journeyId, decided('Incomplete')),
    event('Finished User Steps', journeyId, { systemDecision: 'Incomplete' }),
    event('Finished Journey', journeyId, decided(systemDecision)),
  ]
}

function reviewed(journeyId: string, decision: string): Sample[] {
  const details = { journeyReviewDecision: decision, reasonCode: 'REVIEW' }
  return [
    ...applied(journeyId, 'Refer'),
    event('Manually Reviewed', journeyId, decided('Refer', decision)),
    event('Updated Journey', journeyId, {
      ...decided('Refer', decision),
      action: 'Manual Review',
      manualReviewDetails: details,
    }),
  ]
}

/** Journeys of every kind, and every event by which they go on. */
export function journeys(): Sample[] {
  const each = (n: number, make: (id: string) => Sample[], name: string) =>
    Array.from({ length: n }, (_, index) => make(`${name}-${index + 1}`)).flat()
  const requiredSteps = [{ stepId: '20', reasonCode: 'DOCUMENT_EXPIRY_DUE' }]
  return [
    ...each(8, applied, 'approved'),
    ...each(3, (id) => reviewed(id, 'Approved'), 'reviewed'),
    ...each(2, (id) => reviewed(id, 'Rejected'), 'rejected'),
    ...applied('resubmitted', 'Refer'),
    event('Verification Update Required', 'resubmitted', {
      ...decided('Refer', 'Resubmission Requested'),
      trigger: 'Manual Review',
      requiredSteps: [{ stepId: '50', reasonCode: 'RESUBMIT_BAD_QUALITY' }],
    }),
    ...applied('renewed'),
    event('Verification Update Required', 'renewed', {
      ...decided('Complete'),
      trigger: 'KYC Renewal',
      requiredSteps,
    }),
    event('KYC Renewal Deadline Exceeded', 'renewed', {
      requiredSteps: [{ stepId: '20', renewalDeadline: '2026-12-31T00:00:00Z' }],
    }),
    ...applied('monitored'),
    ...Array.from({ length: 4 }, (_, index) =>
      event(index % 2 ? 'AML Monior Update' : 'AML Monitor Update', 'monitored', {
        systemDecision: index % 2 ? 'Complete' : 'Refer',
        previousSystemDecision: index % 2 ? 'Refer' : 'Complete',
        updatedAMLVersionNumber: index + 2,
      }),
    ),
    event('Finished Ongoing Check', 'monitored', { ...decided('Complete'), ongoingCheckId: 'check-1' }),
    event('Finished Spot Check', null, { ...decided('Complete'), spotCheckJourneyId: 'spot-1' }),
    ...Array.from({ length: 60 }, (_, index) =>
      event('Finished Step', 'long', { stepId: String(index), stepType: `Document ${index}` }),
    ),
    ...Array.from({ length: 12 }, (_, index) =>
      event('Updated Journey', 'long', { ...decided(`Refer to desk ${index}`), action: 'Step Update' }),
    ),
    event('Archived Journey', 'unknown-event', { archivedBy: 'retention-policy' }),
    event('Finished Journey', 'unknown-decision', decided('Escalated')),
    event('Finished Journey', 'no-reference', { referenceNo: null, systemDecision: 'Complete' }),
    ...applied('approved-1').map(inSandbox),
    ...applied('goes-on'),
  ]
}

/** Events of older shapes, which have no id. */
export function anonymous(): Sample[] {
  const old = { journeyId: 'anonymous', referenceNo: 'REF-anonymous', systemDecision: 'Refer' }
  return [
    sample({ event: 'Finished Journey', body: { ...old, manualDecision: null, finalDecision: 'Refer' } }),
    sample({ event: 'Manually Reviewed', body: { ...old, finalDecision: 'Approved' } }),
    sample({ event: 'Step Submitted', body: { journeyId: 'anonymous', stepId: '1', stepType: 'Document' } }),
  ]
}

/** Bodies that are no events, and events in bytes that need care. */
export function unusual(): Sample[] {
  const exact = event('Finished Journey', 'exact').bytes.toString().replace('}}', ',"n":[1e400,1.10]}}')
  const withNul = event('Finished Journey', 'nul').bytes.toString().replace('}}', ',"note":"a\\u0000b"}}')
  return [
    bytes('not JSON at all'),
    bytes(''),
    bytes('[1, 2, 3]', 'sandbox'),
    bytes('{"hello": "portal"}'),
    bytes(Buffer.from([0xff, 0xfe, 0x00, 0x01, 0x80])),
    bytes(`\ufeff${event('Finished Journey', 'marked').bytes}`),
    bytes(gzipSync(event('Finished Journey', 'compressed', decided('Complete')).bytes)),
    bytes(exact),
    bytes(withNul),
    bytes(JSON.stringify(JSON.parse(event('Finished Journey', 'spaced').bytes.toString()), null, 4)),
    event('Finished Journey', 'größe-日本-🙂', { referenceNo: 'Ünïcode', ...decided('Complete') }),
  ]
}
