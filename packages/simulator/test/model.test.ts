import { expect, test } from 'vitest'
import { readFacts } from '../src/verify/facts.ts'
import { compareJourney } from '../src/verify/journeys.ts'
import { expectedJourney, needsAttentionFor } from '../src/verify/model.ts'

/** Events in the order in which they happened. */
function journey(...happened: (readonly [event: string, fields: object])[]) {
  const landed = happened.map(([event, fields], moment) => {
    const body = { eventId: `${moment}`, journeyId: 'j', referenceNo: 'r', ...fields }
    return { facts: readFacts(JSON.stringify({ event, body })), moment, at: moment }
  })
  const expected = expectedJourney(landed)
  return { ...expected, needsAttention: needsAttentionFor(landed, expected) }
}

test('the last event that has decisions gives those of the journey', () => {
  const state = journey(
    ['Finished Journey', { systemDecision: 'Refer' }],
    ['Manually Reviewed', { systemDecision: 'Refer', manualDecision: 'Approved', finalDecision: 'Approved' }],
    ['AML Monitor Update', { systemDecision: 'Complete', updatedAMLVersionNumber: '2' }],
    ['KYC Renewal Deadline Exceeded', {}],
    ['Finished Ongoing Check', { systemDecision: 'Rejected' }],
  )
  expect(state).toEqual({
    referenceNo: 'r',
    stage: 'renewal_overdue',
    systemDecision: 'Complete',
    manualDecision: 'Approved',
    finalDecision: 'Approved',
    amlVersion: 2,
    resubmission: null,
    renewal: 'overdue',
    stepsAlone: false,
    events: 5,
    firstEventAt: 0,
    lastEventAt: 4,
    needsAttention: false,
  })
})

test('the order of landing does not matter', () => {
  const facts = (systemDecision: string) =>
    readFacts(JSON.stringify({ event: 'Finished Journey', body: { journeyId: 'j', systemDecision } }))
  const first = { facts: facts('Refer'), moment: 1, at: 2 }
  const second = { facts: facts('Complete'), moment: 2, at: 1 }
  expect(expectedJourney([second, first])).toEqual(expectedJourney([first, second]))
  expect(expectedJourney([second, first]).systemDecision).toBe('Complete')
})

test('in the oldest shape the final decision alone shows a review', () => {
  const state = journey(
    ['Finished Journey', { systemDecision: 'Refer', finalDecision: 'Refer' }],
    ['Manually Reviewed', { systemDecision: 'Refer', finalDecision: 'Approved' }],
  )
  expect(state).toMatchObject({
    systemDecision: 'Refer',
    manualDecision: 'Approved',
    finalDecision: 'Approved',
  })
})

test('unknown events, and unknown decisions that stand, need attention', () => {
  expect(journey(['Archived Journey', {}]).needsAttention).toBe(true)
  expect(journey(['Finished Journey', { systemDecision: 'Escalated' }]).needsAttention).toBe(true)
  expect(
    journey(
      ['Finished Journey', { systemDecision: 'Escalated' }],
      ['Updated Journey', { systemDecision: 'Complete', action: 'Step Update' }],
    ).needsAttention,
  ).toBe(false)
})

test('a decision that was left open needs attention if it is unknown itself', () => {
  const facts = (systemDecision: string) =>
    readFacts(JSON.stringify({ event: 'Finished Journey', body: { journeyId: 'j', systemDecision } }))
  const landed = [
    { facts: facts('Complete'), moment: 0, at: 2 },
    { facts: facts('Escalated'), moment: 1, at: 1 },
  ]
  const differences = (system_decision: string, needs_attention: string | null) =>
    compareJourney(
      {
        ...{ environment: 'live', journey_id: 'j', reference_no: null, stage: 'finished', aml_version: null },
        ...{ system_decision, manual_decision: null, final_decision: system_decision, needs_attention },
        ...{ resubmission: null, renewal: null, events: 2 },
        ...{ first_event_at: new Date(1), last_event_at: new Date(2) },
      },
      { landed, complete: false },
    ).differences
  expect(differences('Complete', null)).toEqual([])
  expect(differences('Escalated', null)).toEqual(['needs_attention is not set'])
})

test('a request for steps is open until something that happened later answers it, and is no final decision then', () => {
  const request = { systemDecision: 'Refer', manualDecision: 'Resubmission Requested' }
  const until = [
    ['Finished Journey', { systemDecision: 'Refer' }],
    ['Verification Update Required', { ...request, trigger: 'Manual Review' }],
  ] as const
  expect(journey(...until)).toMatchObject({
    stage: 'update_required',
    finalDecision: 'Resubmission Requested',
    resubmission: 'open',
  })
  const step = ['Finished Step', {}] as const
  expect(journey(...until, step)).toMatchObject({ resubmission: 'open', stepsAlone: true })
  const update = ['Updated Journey', { systemDecision: 'Complete', action: 'Step Update' }] as const
  expect(journey(...until, step, update)).toMatchObject({
    stage: 'finished',
    finalDecision: 'Complete',
    resubmission: 'done',
  })
})
