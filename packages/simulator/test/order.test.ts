import { foldJourney, type JourneyEvent } from '@sluice/shared/idwise'
import { expect, test } from 'vitest'
import { readFacts } from '../src/facts.ts'
import { parseMix } from '../src/mix.ts'
import { expectedJourney } from '../src/model.ts'
import { createRandom } from '../src/random.ts'
import { createJourney, type PlannedEvent } from '../src/scenario.ts'
import { toldBy } from './landing.ts'

const MINUTE = 60_000
const JOURNEYS = 3_000
const mix = parseMix('all')

/** Whether the fold says what happened, says that it cannot know, or is wrong. */
function judge(events: readonly PlannedEvent[], arrival: (event: PlannedEvent) => number) {
  const told = events.map((event): JourneyEvent => toldBy(event.bytes, arrival(event)))
  const journey = foldJourney(told)
  const facts = events.map(({ bytes, moment }) => ({ facts: readFacts(bytes.toString()), moment }))
  const expected = expectedJourney(facts)
  if (expected.needsAttention && journey.needsAttention === null) return 'unknown words were not noticed'
  const isRight =
    journey.systemDecision === expected.systemDecision &&
    journey.manualDecision === expected.manualDecision &&
    journey.finalDecision === expected.finalDecision &&
    journey.amlVersion === expected.amlVersion &&
    journey.referenceNo === expected.referenceNo &&
    journey.events === expected.events
  if (isRight)
    return journey.needsAttention === null || expected.needsAttention ? 'right' : 'right, but unsure'
  return journey.needsAttention === null ? `wrong: ${JSON.stringify([journey, expected])}` : 'left open'
}

function count(arrivals: (random: () => number) => (event: PlannedEvent) => number): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let index = 0; index < JOURNEYS; index++) {
    const random = createRandom(`order/${index}`)
    const planned = createJourney('order', index, mix, ['live', 'sandbox']).flat()
    const events = [...new Map(planned.map((event) => [event.eventId ?? event.sha256, event])).values()]
    if (!events.some(({ bytes }) => readFacts(bytes.toString()).journeyId)) continue
    const ofJourney = events.filter(({ bytes }) => readFacts(bytes.toString()).journeyId !== null)
    const verdict = judge(
      ofJourney,
      arrivals(() => random.below(1_000_000) / 1_000_000),
    )
    counts[verdict] = (counts[verdict] ?? 0) + 1
  }
  return counts
}

test('whatever the order of arrival, a journey is right or says that it needs attention', () => {
  const counts = count((random) => () => random() * 20 * MINUTE)
  expect(Object.keys(counts).filter((verdict) => !/^(right|left open)/.test(verdict))).toEqual([])
  const unsure = (counts['left open'] ?? 0) + (counts['right, but unsure'] ?? 0)
  expect(unsure / JOURNEYS).toBeLessThan(0.1)
})

test('at the pace of life, with one event in ten redelivered late, hardly a journey needs attention for its order', () => {
  const counts = count(
    (random) =>
      ({ moment }) =>
        moment * 60 * MINUTE + (random() < 0.1 ? random() * 30 * MINUTE : 0),
  )
  expect(Object.keys(counts).filter((verdict) => !/^(right|left open)/.test(verdict))).toEqual([])
  const unsure = (counts['left open'] ?? 0) + (counts['right, but unsure'] ?? 0)
  expect(unsure / JOURNEYS).toBeLessThan(0.005)
})

test('the same events in 200 random orders, arriving close together, give one and the same decisions', () => {
  for (let index = 0; index < 100; index++) {
    const random = createRandom(`same/${index}`)
    const events = createJourney('same', index, parseMix('plain'), ['live'])
      .flat()
      .filter(({ bytes }) => readFacts(bytes.toString()).journeyId !== null)
    if (events.length === 0) continue
    const states = Array.from({ length: 200 }, () => {
      const {
        firstEventAt: _,
        lastEventAt: __,
        needsAttention: ___,
        ...state
      } = foldJourney(events.map((event) => toldBy(event.bytes, random.below(20 * MINUTE))))
      return JSON.stringify(state)
    })
    expect(new Set(states).size).toBe(1)
  }
})
