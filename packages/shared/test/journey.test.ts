import { foldJourney, type Journey, type JourneyEvent, journeyTimeline } from '@sluice/shared/journey'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { journeyEvent } from './journey-event.ts'

const M = 60_000
const H = 60 * M
const D = 24 * H

function received(kind: JourneyEvent['kind'], at: number, facts: Partial<JourneyEvent>): JourneyEvent {
  return journeyEvent(at, { kind, event: kind, referenceNo: 'R', ...facts })
}

const finished = (at: number, systemDecision: string) => received('finished_journey', at, { systemDecision })
const reviewed = (at: number, manualDecision: string, systemDecision = 'Refer') =>
  received('manually_reviewed', at, { systemDecision, manualDecision, finalDecision: manualDecision })
const updated = (at: number, action: string, systemDecision: string, manualDecision: string | null = null) =>
  received('updated_journey', at, {
    action,
    systemDecision,
    manualDecision,
    finalDecision: manualDecision ?? systemDecision,
  })
const asked = (at: number, trigger: string, systemDecision: string, manualDecision: string | null = null) =>
  received('verification_update_required', at, {
    trigger,
    systemDecision,
    manualDecision,
    finalDecision: manualDecision ?? systemDecision,
  })
const deadline = (at: number) => received('kyc_renewal_deadline_exceeded', at, {})
const monitored = (at: number, amlVersion: number, previousSystemDecision: string, systemDecision: string) =>
  received('aml_monitor_update', at, { amlVersion, previousSystemDecision, systemDecision })

const STEPS = 'Resubmission Requested'
const CLOSE_ANSWER = /what may answer a request for steps came too close to it/

function fold(...events: JourneyEvent[]): Journey {
  return foldJourney(events)
}

describe('a request for steps', () => {
  test.each([
    ['an Updated Journey', [updated(2 * H + 10 * M, 'Manual Review', 'Refer', STEPS)]],
    ['a Verification Update Required', [asked(2 * H + 10 * M, 'Manual Review', 'Refer', STEPS)]],
    ['one that quotes no review', [asked(2 * H + 20 * M, 'Manual Review', 'Refer')]],
  ])('close to a verdict stays open and needs attention: %s', (_, request) => {
    const journey = fold(finished(0, 'Refer'), reviewed(2 * H, 'Approved'), ...request)
    expect(journey).toMatchObject({ stage: 'update_required', resubmission: 'open' })
    expect(journey.needsAttention).toMatch(CLOSE_ANSWER)
  })

  test.each([
    ['an Updated Journey', updated(2 * H + 10 * M, 'Manual Review', 'Refer', STEPS)],
    ['a Verification Update Required', asked(2 * H + 10 * M, 'Manual Review', 'Refer', STEPS)],
  ])('close to an approval is the more cautious decision: %s', (_, request) => {
    expect(fold(finished(0, 'Refer'), reviewed(2 * H, 'Approved'), request)).toMatchObject({
      manualDecision: STEPS,
      finalDecision: STEPS,
    })
  })

  test('surely after a verdict takes it back, and surely before one is done', () => {
    const request = (at: number) => updated(at, 'Manual Review', 'Refer', STEPS)
    expect(fold(finished(0, 'Refer'), reviewed(2 * H, 'Approved'), request(4 * H))).toMatchObject({
      stage: 'update_required',
      finalDecision: STEPS,
      needsAttention: null,
    })
    expect(fold(finished(0, 'Refer'), request(2 * H), reviewed(4 * H, 'Approved'))).toMatchObject({
      stage: 'reviewed',
      finalDecision: 'Approved',
      resubmission: 'done',
      needsAttention: null,
    })
  })

  test('precedes a verdict on the decision that only the steps brought, however close', () => {
    const journey = fold(
      finished(0, 'Refer'),
      reviewed(8 * M, 'Approved', 'Complete'),
      updated(9 * M, 'Manual Review', 'Refer', STEPS),
      updated(10 * M, 'Step Update', 'Complete', STEPS),
    )
    expect(journey).toMatchObject({ stage: 'reviewed', finalDecision: 'Approved', needsAttention: null })
  })

  test.each([
    ['a Finished Journey', finished(D, 'Complete')],
    ['a step update', updated(D, 'Step Update', 'Complete')],
  ])('is no final decision once %s has answered it', (_, answer) => {
    const request = [
      updated(2 * H, 'Manual Review', 'Refer', STEPS),
      asked(2 * H, 'Manual Review', 'Refer', STEPS),
    ]
    expect(fold(finished(0, 'Refer'), ...request, answer)).toMatchObject({
      stage: 'finished',
      finalDecision: 'Complete',
      resubmission: 'done',
      needsAttention: null,
    })
  })

  test('is not answered by a step update that answers an earlier one', () => {
    const journey = fold(
      finished(0, 'Refer'),
      asked(H, 'Manual Review', 'Refer'),
      updated(D, 'Step Update', 'Refer'),
      asked(D + 10 * M, 'Manual Review', 'Refer'),
    )
    expect(journey.resubmission).toBe('open')
    expect(journey.needsAttention).toMatch(CLOSE_ANSWER)
  })
})

describe('a renewal', () => {
  test('is done by a Finished Journey surely after the request or the deadline, also of a reviewed journey', () => {
    const start = [finished(0, 'Refer'), reviewed(H, 'Approved')]
    expect(fold(...start, deadline(D), finished(2 * D, 'Complete'))).toMatchObject({
      stage: 'reviewed',
      renewal: 'done',
      systemDecision: 'Complete',
      needsAttention: null,
    })
    const late = [asked(D, 'KYC Renewal', 'Refer', 'Approved'), deadline(8 * D), finished(9 * D, 'Refer')]
    expect(fold(...start, ...late)).toMatchObject({ stage: 'reviewed', renewal: 'done' })
  })

  test('stays open and needs attention where two completions and the request came close together', () => {
    const journey = fold(
      finished(0, 'Complete'),
      finished(5 * M, 'Complete'),
      asked(20 * M, 'KYC Renewal', 'Complete'),
    )
    expect(journey).toMatchObject({ stage: 'update_required', renewal: 'open' })
    expect(journey.needsAttention).toMatch(CLOSE_ANSWER)
    const secondOfTwo = fold(
      finished(0, 'Refer'),
      finished(D, 'Refer'),
      asked(D + 20 * M, 'Manual Review', 'Refer'),
    )
    expect(secondOfTwo).toMatchObject({ stage: 'update_required', resubmission: 'open' })
    expect(secondOfTwo.needsAttention).toMatch(CLOSE_ANSWER)
  })

  test('is open without doubt where the only completion came close to the request, and done where the decisions tell', () => {
    expect(fold(finished(10 * M, 'Complete'), asked(0, 'KYC Renewal', 'Complete'))).toMatchObject({
      renewal: 'open',
      needsAttention: null,
    })
    const events = [
      finished(0, 'Complete'),
      asked(2 * M, 'KYC Renewal', 'Complete'),
      finished(5 * M, 'Refer'),
    ]
    expect(fold(...events)).toMatchObject({ renewal: 'done', systemDecision: 'Refer', needsAttention: null })
  })
})

describe('a system decision', () => {
  test('that an AML update replaced and something else may have brought back needs attention', () => {
    const journey = fold(
      finished(0, 'Complete'),
      monitored(D, 1, 'Complete', 'Refer'),
      updated(D + 10 * M, 'AML Amend', 'Complete'),
    )
    expect(journey.systemDecision).toBe('Refer')
    expect(journey.needsAttention).toMatch(/system decisions "Refer" and "Complete" came too close/)
  })

  test('that only quotes what an AML update replaced, or was alone in bringing it, is the older one', () => {
    const quoting = updated(D + 10 * M, 'AML OGM Update', 'Complete')
    expect(fold(finished(0, 'Complete'), monitored(D, 1, 'Complete', 'Refer'), quoting)).toMatchObject({
      systemDecision: 'Refer',
      needsAttention: null,
    })
    const amended = updated(D, 'AML Amend', 'Complete')
    expect(fold(finished(0, 'Refer'), amended, monitored(D + 5 * M, 1, 'Complete', 'Refer'))).toMatchObject({
      systemDecision: 'Refer',
      needsAttention: null,
    })
  })

  test('of a completion after the renewal deadline may be news, however an AML update close to it replaced the word', () => {
    const journey = fold(
      finished(0, 'Complete'),
      deadline(D),
      monitored(2 * D, 1, 'Complete', 'Refer'),
      finished(2 * D + 10 * M, 'Complete'),
    )
    expect(journey).toMatchObject({
      systemDecision: 'Refer',
      renewal: 'done',
      needsAttention: 'a Finished Journey that says "Complete" came too close to later events',
    })
  })

  test('that was in doubt is settled by what surely came later', () => {
    const events = [
      finished(0, 'Complete'),
      finished(5 * M, 'Complete'),
      updated(5 * M, 'AML Amend', 'Refer'),
    ]
    expect(fold(...events).needsAttention).not.toBeNull()
    expect(fold(...events, reviewed(D, 'Approved', 'Refer')).needsAttention).toBeNull()
  })

  test.each(['Approved', 'Rejected', STEPS, 'Escalated'])('%s is none that a system can take', (decision) => {
    expect(fold(finished(0, decision))).toMatchObject({
      stage: 'finished',
      systemDecision: decision,
      needsAttention: `unknown system decision "${decision}"`,
    })
  })
})

describe('a review', () => {
  test.each(['Complete', 'Incomplete', 'Refer', 'Suspended'])('does not decide %s', (decision) => {
    expect(fold(finished(0, 'Refer'), reviewed(H, decision))).toMatchObject({
      stage: 'finished',
      needsAttention: `unknown manual decision "${decision}"`,
    })
  })

  test.each([
    ['Approved', 'Rejected', 'Rejected'],
    ['Approved', 'Blocked', 'Blocked'],
    [null, 'Complete', 'Refer'],
    [null, 'Approved', 'Refer'],
  ])(
    '%s with the final decision %s needs attention, and the more cautious one is final',
    (manual, final, cautious) => {
      const says = { systemDecision: 'Refer', manualDecision: manual, finalDecision: final }
      const journey = fold(finished(0, 'Refer'), received('updated_journey', H, says))
      expect(journey).toMatchObject({
        stage: manual === null ? 'finished' : 'reviewed',
        manualDecision: manual,
        finalDecision: cautious,
        needsAttention: `a final decision "${final}" does not follow from the decisions beside it`,
      })
      const plain = fold(finished(0, 'Refer'), received('updated_journey', H, says), reviewed(D, 'Approved'))
      expect(plain).toMatchObject({ finalDecision: 'Approved', needsAttention: null })
    },
  )

  test('is not inferred from a final decision alone, unless it is the verdict of the oldest shape', () => {
    expect(fold(received('updated_journey', 0, { finalDecision: 'Complete' }))).toMatchObject({
      stage: 'finished',
      manualDecision: null,
      needsAttention: 'a final decision "Complete" does not follow from the decisions beside it',
    })
    const oldest = { systemDecision: 'Refer', finalDecision: 'Approved', finalWithoutManual: true }
    expect(fold(received('manually_reviewed', 0, oldest))).toMatchObject({
      stage: 'reviewed',
      manualDecision: 'Approved',
      needsAttention: null,
    })
    expect(fold(received('manually_reviewed', 0, { ...oldest, finalDecision: 'Complete' }))).toMatchObject({
      stage: 'finished',
      manualDecision: null,
    })
  })
})

test('a completion is marked, or not, whatever came first within the span', () => {
  const sets = [
    [finished(0, 'Refer'), updated(0, 'Step Update', 'Complete'), received('finished_user_steps', 0, {})],
    [finished(0, 'Complete'), asked(0, 'KYC Renewal', 'Complete'), finished(0, 'Refer')],
    [finished(0, 'Complete'), finished(0, 'Complete'), updated(0, 'AML Amend', 'Refer')],
  ]
  const marks = sets.map((events) => {
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]
    const rows = orders.map((order) => {
      const arrived = events.map((event, index) => {
        const at = (order[index] as number) * 9 * M
        return { ...event, firstAt: at, lastAt: at }
      })
      return foldJourney(arrived).needsAttention
    })
    expect(new Set(rows).size).toBe(1)
    return rows[0]
  })
  expect(marks).toEqual([
    null,
    null,
    'a Finished Journey that says "Complete" came too close to later events',
  ])
})

test('a timeline that begins late is the end of the whole one', () => {
  const events = [
    finished(0, 'Complete'),
    monitored(D, 2, 'Complete', 'Refer'),
    monitored(2 * D, 1, 'Complete', 'Complete'),
    reviewed(3 * D, 'Approved'),
  ]
  expect(journeyTimeline(events.slice(2), events.slice(0, 2))).toEqual(journeyTimeline(events).slice(2))
})

describe('for events of any kind, the row', () => {
  const decision = fc.option(fc.constantFrom('Complete', 'Refer', 'Rejected'), { freq: 5 })
  const review = fc.option(fc.constantFrom('Approved', 'Rejected', STEPS), { freq: 1 })
  const says = fc.record({
    systemDecision: decision,
    manualDecision: review,
    finalDecision: fc.option(fc.constantFrom('Complete', 'Approved', 'Refer'), { freq: 1 }),
    finalWithoutManual: fc.boolean(),
    action: fc.option(fc.constantFrom('Step Update', 'Manual Review', 'AML OGM Update', 'AML Amend')),
    trigger: fc.constantFrom('KYC Renewal', 'Manual Review'),
  })
  const kind = fc.constantFrom<JourneyEvent['kind']>(
    'finished_step',
    'finished_user_steps',
    'finished_journey',
    'updated_journey',
    'verification_update_required',
    'kyc_renewal_deadline_exceeded',
    'manually_reviewed',
  )
  const update = fc
    .record({
      amlVersion: fc.integer({ min: 1, max: 3 }),
      previousSystemDecision: decision,
      systemDecision: decision,
    })
    .map((fields) => received('aml_monitor_update', 0, fields))
  const event = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(kind, says).map(([kind, says]) => received(kind, 0, says)) },
    update,
  )
  const minutes = (limit: number) => fc.integer({ min: 0, max: limit })
  const at = (events: readonly JourneyEvent[], times: readonly number[]) =>
    events.map((event, index) => {
      const time = (times[index] as number) * M
      return { ...event, firstAt: time, lastAt: time }
    })

  test('is the same in any order of receipt within the span, whatever came long before and after', () => {
    const times = fc.array(minutes(30), { minLength: 7, maxLength: 7 })
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 1, maxLength: 7 }),
        fc.array(fc.tuple(event, fc.constantFrom(-300, -31, 61, 300)), { maxLength: 3 }),
        times,
        times,
        (close, far, one, other) => {
          const others = at(
            far.map(([event]) => event),
            far.map(([, minute]) => minute),
          )
          const [first, second] = [one, other].map((order) => {
            const { firstEventAt: _, lastEventAt: __, ...row } = fold(...others, ...at(close, order))
            return row
          })
          expect(second).toEqual(first)
        },
      ),
      { numRuns: 5_000 },
    )
  })

  test('is the same whether events with equal facts are given each alone or as one', () => {
    fc.assert(
      fc.property(
        event,
        fc.array(minutes(200), { minLength: 2, maxLength: 4 }),
        fc.array(fc.tuple(event, minutes(200)), { maxLength: 6 }),
        (alike, moments, rest) => {
          const others = at(
            rest.map(([event]) => event),
            rest.map(([, minute]) => minute),
          )
          const times = moments.map((minute) => minute * M)
          const asOne = {
            ...alike,
            firstAt: Math.min(...times),
            lastAt: Math.max(...times),
            count: times.length,
          }
          const alone = at(
            moments.map(() => alike),
            moments,
          )
          expect(fold(asOne, ...others)).toEqual(fold(...alone, ...others))
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
