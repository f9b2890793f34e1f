import { foldJourney, type JourneyEvent, journeyTimeline } from '@sluice/shared/journey'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { alphabetical, contested, describeAttention } from '../src/journey/attention.ts'
import { resolveClaims } from '../src/journey/claims.ts'
import { coalesce } from '../src/journey/coalesce.ts'
import { contradictions, doubtfulCompletions } from '../src/journey/contradictions.ts'
import { foldCoalesced } from '../src/journey/fold.ts'
import { createReplaced } from '../src/journey/replaced.ts'
import { findUpdateRequests } from '../src/journey/update-requests.ts'
import { journeyEvent } from './journey-event.ts'
import {
  plainContradictions,
  plainDoubtful,
  plainReplaced,
  plainRequests,
  plainResolveClaims,
} from './plain-rules.ts'

const M = 60_000
const D = 24 * 60 * M
const STEPS = 'Resubmission Requested'
const NOTHING = journeyEvent(0, {})

/** Few values, so that rules meet; moments at, just within and just beyond the span of 30 minutes. */
const moment = fc
  .tuple(fc.integer({ min: 0, max: 8 }), fc.constantFrom(-1, 0, 0, 0, 1))
  .map(([part, off]) => part * 15 * M + off)
const decision = fc.constantFrom(null, 'Complete', 'Complete', 'Refer', 'Incomplete', 'Suspended')
const review = fc.constantFrom(null, null, 'Approved', 'Rejected', STEPS, STEPS, 'Escalated')
const kind = fc.constantFrom<JourneyEvent['kind'][]>(
  'finished_journey',
  'finished_journey',
  'updated_journey',
  'updated_journey',
  'verification_update_required',
  'verification_update_required',
  'kyc_renewal_deadline_exceeded',
  'manually_reviewed',
  'aml_monitor_update',
  'finished_user_steps',
  'finished_spot_check',
  'unrecognised',
)
const eventOf = (kind: fc.Arbitrary<JourneyEvent['kind']>) =>
  fc
    .record({
      kind,
      says: fc.record({
        event: fc.constantFrom(null, 'One', 'Another'),
        referenceNo: fc.constantFrom('R', 'R', 'S', null),
        systemDecision: decision,
        manualDecision: review,
        finalDecision: fc.oneof(decision, review),
        finalWithoutManual: fc.boolean(),
        action: fc.constantFrom(
          null,
          'Step Update',
          'Step Update',
          'Manual Review',
          'AML OGM Update',
          'AML Amend',
        ),
        trigger: fc.constantFrom(null, 'KYC Renewal', 'Manual Review'),
        conflict: fc.constantFrom(false, false, false, true),
      }),
      update: fc.record({ amlVersion: fc.constantFrom(1, 1, 2), previousSystemDecision: decision }),
      times: fc.tuple(moment, moment),
      count: fc.constantFrom(1, 1, 2),
    })
    .map(({ kind, says, update, times, count }): JourneyEvent => {
      const [at, other] = times
      const alone = { firstAt: at, lastAt: at, count: 1 }
      const several = { firstAt: Math.min(at, other), lastAt: Math.max(at, other), count }
      return {
        ...NOTHING,
        kind,
        ...says,
        ...(kind === 'aml_monitor_update' ? update : {}),
        ...(count > 1 ? several : alone),
      }
    })
const event = eventOf(kind)
/** Of any kinds, or of a few, which then meet more often. */
const journey = fc
  .oneof(
    fc.constant(kind),
    fc.array(kind, { minLength: 2, maxLength: 3 }).map((kinds) => fc.constantFrom(...kinds)),
  )
  .chain((kind) => fc.array(eventOf(kind), { minLength: 1, maxLength: 9 }))
  .map(coalesce)

describe('a rule that looks at the newest or earliest events alone says what comparing all of them says', () => {
  test('which claims no other supersedes', () => {
    const claim = fc.record({
      value: fc.constantFrom('Complete', 'Refer', 'Approved', 'other', 'another'),
      precedence: fc.constantFrom(3, 4, 4.5, 5),
      lastAt: moment,
      replaces: fc.boolean(),
      isReplaced: fc.boolean(),
    })
    const check = (claims: Parameters<typeof resolveClaims>[0]) => {
      expect(resolveClaims(claims)).toEqual(plainResolveClaims(claims))
    }
    fc.assert(fc.property(fc.array(claim, { maxLength: 9 }), check), { numRuns: 5_000 })
  })

  test('what is requested, and what answers it', () => {
    const check = (events: readonly JourneyEvent[]) => {
      const requests = findUpdateRequests(events)
      const plain = plainRequests(events)
      for (const event of events) {
        const marks = [requests, plain].map((of) => ({
          isSecondCompletion: of.isSecondCompletion(event),
          isQuoted: of.isQuoted(event),
          mayFollowAnother: event.kind === 'finished_journey' && of.mayFollowAnother(event),
          isCloseToRequest: of.isCloseToRequest(event),
          fellAfterAnswer: of.fellAfterAnswer(event),
        }))
        expect(marks[0]).toEqual(marks[1])
      }
      expect(requests.resubmission).toEqual(plain.resubmission)
      expect(requests.renewal).toEqual(plain.renewal)
    }
    fc.assert(fc.property(journey, check), { numRuns: 5_000 })
  })

  test('which decisions are replaced, which completions are in doubt and which final decisions contradict', () => {
    const check = (events: readonly JourneyEvent[], value: string | null) => {
      const requests = plainRequests(events)
      const isReplaced = (event: JourneyEvent) => plainReplaced(events, requests, event)
      expect(events.map(createReplaced(events, requests))).toEqual(events.map(isReplaced))
      expect(doubtfulCompletions(events, value, { updateRequests: requests, isReplaced })).toEqual(
        plainDoubtful(events, value, requests, isReplaced),
      )
      expect(contradictions(events)).toEqual(plainContradictions(events))
    }
    fc.assert(fc.property(journey, decision, check), { numRuns: 5_000 })
  })

  test('which words are shown', () => {
    const word = fc.oneof(fc.string({ maxLength: 3 }), fc.string({ maxLength: 100 }))
    const words = fc.array(word, { minLength: 2, maxLength: 3_000, size: 'max' })
    const inOrder = (texts: string[]) => [...new Set(texts)].sort()
    const check = (words: string[]) => {
      const lines = words.map((word) => `unknown event "${word}"`)
      expect(describeAttention(lines)).toBe(inOrder(lines).join('; ').slice(0, 1_000))
      const [shown, whole] = [alphabetical(words), inOrder(words)].map((words) => contested('', words)[0])
      expect(shown?.slice(0, 1_000)).toBe(whole?.slice(0, 1_000))
    }
    fc.assert(fc.property(words, check), { numRuns: 50 })
  })
})

test('a fold does not depend on the order of the events that it is given', () => {
  const inTwoOrders = journey.chain((events) =>
    fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length })),
  )
  const check = ([events, other]: JourneyEvent[][]) => {
    expect(foldCoalesced(other as JourneyEvent[])).toEqual(foldCoalesced(events as JourneyEvent[]))
  }
  fc.assert(fc.property(inTwoOrders, check), { numRuns: 3_000 })
})

test('a timeline tells what each event has changed in the fold of the events until then', () => {
  const events = fc.array(event, { minLength: 1, maxLength: 8 })
  const check = (events: readonly JourneyEvent[], cut: number) => {
    const inOrder = events.toSorted((a, b) => a.lastAt - b.lastAt)
    const begin = cut % events.length
    const timeline = journeyTimeline(inOrder.slice(begin), inOrder.slice(0, begin))
    const state: Record<string, unknown> = begin > 0 ? { ...foldJourney(inOrder.slice(0, begin)) } : {}
    for (const [index, { event, changed }] of timeline.entries()) {
      expect(event).toBe(inOrder[begin + index])
      for (const { field, from, to } of changed) {
        expect(from).toBe(state[field] ?? null)
        expect(to).not.toBe(from)
        state[field] = to
      }
      const {
        events: _,
        firstEventAt: __,
        lastEventAt: ___,
        ...after
      } = foldJourney(inOrder.slice(0, begin + index + 1))
      expect(after).toEqual(Object.fromEntries(Object.keys(after).map((key) => [key, state[key] ?? null])))
    }
  }
  fc.assert(fc.property(events, fc.nat(7), check), { numRuns: 1_000 })
})

describe('of very many events with different facts', () => {
  const COUNT = 20_000
  const KINDS = [
    'finished_journey',
    'updated_journey',
    'verification_update_required',
    'kyc_renewal_deadline_exceeded',
    'aml_monitor_update',
    'manually_reviewed',
    'unrecognised',
  ] as const
  type Saying = (n: number) => Partial<JourneyEvent>
  const kindOf = (kind: JourneyEvent['kind'], says: Saying) => (n: number) => ({ kind, ...says(n) })
  const decided = (n: number) => ({ systemDecision: `D${n}` })
  const completion = kindOf('finished_journey', decided)
  const request = kindOf('verification_update_required', (n) => ({ ...decided(n), manualDecision: STEPS }))
  const shapes: [string, Saying][] = [
    ['reference numbers', kindOf('finished_journey', (n) => ({ referenceNo: `R${n}` }))],
    ['names that nobody knows', (n) => ({ event: `Event ${n}` })],
    ['completions', completion],
    ['requests for steps', request],
    ['requests and the completions that they quote', (n) => (n % 2 ? completion(n) : request(n + 1))],
    ['requests and other completions', (n) => (n % 2 ? completion(n) : request(n))],
    [
      'deadlines and step updates',
      (n) => ({
        ...decided(n),
        kind: n % 2 ? 'updated_journey' : 'kyc_renewal_deadline_exceeded',
        action: 'Step Update',
      }),
    ],
    [
      'reviews',
      kindOf('updated_journey', (n) => ({ ...decided(n), manualDecision: n % 3 ? 'Approved' : STEPS })),
    ],
    [
      'words of reviewers',
      kindOf('manually_reviewed', (n) => ({ manualDecision: `M${n}`, finalDecision: `F${n}` })),
    ],
    ['AML versions', kindOf('aml_monitor_update', (n) => ({ ...decided(1), amlVersion: n }))],
    [
      'AML updates of one version',
      kindOf('aml_monitor_update', (n) => ({
        ...decided(n),
        amlVersion: 1,
        previousSystemDecision: `D${n + 1}`,
      })),
    ],
    [
      'everything',
      (n) => ({
        ...decided((n * 7) % 5_000),
        kind: KINDS[n % 7] as JourneyEvent['kind'],
        event: `E${n}`,
        referenceNo: `R${n}`,
        manualDecision: [null, 'Approved', STEPS, 'Rejected'][(n >> 3) % 4] as string | null,
        finalDecision: `F${n}`,
        action: n % 5 ? 'Manual Review' : 'Step Update',
        trigger: n % 3 ? null : 'KYC Renewal',
        previousSystemDecision: n % 7 === 4 ? `D${n % 5_000}` : null,
        amlVersion: n % 7 === 4 ? 4 : null,
      }),
    ],
  ]
  const within = (spanMs: number, count: number, says: Saying) =>
    Array.from({ length: count }, (_, n) => {
      const at = Math.floor(((n * 7_919) % count) * (spanMs / count))
      return { ...NOTHING, ...says(n), firstAt: at, lastAt: at }
    })
  const shapesInTime = shapes.flatMap(([name, says]) =>
    (
      [
        ['half an hour', 29 * M],
        ['months', 90 * D],
      ] as const
    ).map(([time, spanMs]) => [name, time, spanMs, says] as const),
  )

  // Compared with each other, so many would take minutes to days.
  test.each(shapesInTime)('%s within %s are folded', (_, __, spanMs, says) => {
    expect(foldJourney(within(spanMs, COUNT, says)).events).toBe(COUNT)
  })

  /** How often `work` reads a field of its items, for each of them. */
  function looks<Item extends object>(items: readonly Item[], work: (items: Item[]) => unknown): number {
    let count = 0
    const counting: ProxyHandler<Item> = {
      get(item, field) {
        count++
        return Reflect.get(item, field)
      },
    }
    work(items.map((item) => new Proxy(item, counting)))
    return count / items.length
  }

  test.each(shapesInTime)('%s within %s are looked at a few times each', (_, __, spanMs, says) => {
    const [few, many] = [200, 2_000].map((count) =>
      looks(coalesce(within(spanMs, count, says)), foldCoalesced),
    )
    expect(many).toBeLessThan(1.5 * (few as number))
  })

  test.each([29 * M, 90 * D])('claims within %i ms are looked at a few times each', (spanMs) => {
    const claims = (count: number) =>
      within(spanMs, count, () => ({})).map(({ lastAt }, n) => ({
        value: `D${n}`,
        precedence: 3 + (n % 3),
        lastAt,
        replaces: n % 4 === 0,
        isReplaced: n % 5 === 0,
      }))
    const [few, many] = [200, 2_000].map((count) => looks(claims(count), resolveClaims))
    expect(many).toBeLessThan(1.5 * (few as number))
  })

  test('five hundred have a timeline', () => {
    const [, says] = shapes.at(-1) as [string, Saying]
    expect(journeyTimeline(within(29 * M, 500, says))).toHaveLength(500)
  })
})
