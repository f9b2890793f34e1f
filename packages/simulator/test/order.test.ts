import { foldJourney, type JourneyEvent } from '@sluice/shared/journey'
import { expect, test } from 'vitest'
import { parseMix } from '../src/send/mix.ts'
import { createRandom, type Random } from '../src/send/random.ts'
import { createJourney, type PlannedEvent } from '../src/send/scenario.ts'
import { readFacts } from '../src/verify/facts.ts'
import { compareJourney } from '../src/verify/journeys.ts'
import { expectedJourney, needsAttentionFor } from '../src/verify/model.ts'
import { receivedAt, rowOf } from './landing.ts'

const MINUTE = 60_000
const JOURNEYS = 3_000
const mix = parseMix('all')

type Receipt = (event: PlannedEvent, random: Random) => number

const closeTogether: Receipt = (_, random) => random.below(20 * MINUTE)
const atThePaceOfLife: Receipt = ({ moment }, random) =>
  moment * 60 * MINUTE + (random.chance(0.1) ? random.below(30 * MINUTE) : 0)

/** The different events of a journey; empty for a test request. */
function eventsOf(seed: string, index: number): PlannedEvent[] {
  const planned = createJourney(seed, index, mix, ['live', 'sandbox']).flat()
  const distinct = [...new Map(planned.map((event) => [event.eventId ?? event.sha256, event])).values()]
  return distinct.filter(({ bytes }) => readFacts(bytes.toString()).journeyId !== null)
}

/** Whether the fold is right, reports that it cannot know, or is wrong. */
function assess(events: readonly PlannedEvent[], times: readonly number[], complete: boolean): string {
  const at = (index: number) => times[index] as number
  const row = rowOf(
    'live j',
    events.map(({ bytes }, index) => receivedAt(bytes, at(index))),
  )
  const landed = events.map(({ bytes, moment }, index) => ({
    facts: readFacts(bytes.toString()),
    moment,
    at: at(index),
  }))
  const { differences, open } = compareJourney(row, { landed, complete })
  if (differences.length > 0) return `wrong: ${differences} ${row.needs_attention}`
  if (open > 0) return 'left open'
  const isSure = row.needs_attention === null || needsAttentionFor(landed, expectedJourney(landed))
  return isSure ? 'right' : 'right, but unsure'
}

function assessments(receivedAt: Receipt, landing = 1): { wrong: string[]; unsure: number } {
  const counts = new Map<string, number>()
  for (let index = 0; index < JOURNEYS; index++) {
    const random = createRandom(`order/${index}`)
    const sent = eventsOf('order', index)
    const events = sent.filter(() => random.chance(landing))
    if (events.length === 0) continue
    const times = events.map((event) => receivedAt(event, random))
    const assessment = assess(events, times, events.length === sent.length)
    counts.set(assessment, (counts.get(assessment) ?? 0) + 1)
  }
  const unsure = (counts.get('left open') ?? 0) + (counts.get('right, but unsure') ?? 0)
  return {
    wrong: [...counts.keys()].filter((assessment) => assessment.startsWith('wrong')),
    unsure: unsure / JOURNEYS,
  }
}

test('in whatever order its events are received, a journey is right or asks for attention', () => {
  const { wrong, unsure } = assessments(closeTogether)
  console.info(`${(unsure * 100).toFixed(2)} % of journeys need a look in any order within 20 minutes`)
  expect(wrong).toEqual([])
  expect(unsure).toBeLessThan(0.1)
})

test('at the pace of life, with one event in ten redelivered late, hardly a journey needs attention for its order', () => {
  const { wrong, unsure } = assessments(atThePaceOfLife)
  console.info(`${(unsure * 100).toFixed(2)} % of journeys need a look at the pace of life`)
  expect(wrong).toEqual([])
  expect(unsure).toBeLessThan(0.005)
})

test('a journey of which only some events arrive says nothing that none of them says', () => {
  expect(assessments(closeTogether, 0.8).wrong).toEqual([])
  expect(assessments(atThePaceOfLife, 0.8).wrong).toEqual([])
})

test('the same events in 200 random orders, arriving close together, each alone or together with its like, give one and the same row', () => {
  for (let index = 0; index < 200; index++) {
    const random = createRandom(`same/${index}`)
    const events = eventsOf('same', index)
    if (events.length === 0) continue
    const states = Array.from({ length: 200 }, () => {
      const landed = events.map(({ bytes }) => receivedAt(bytes, random.below(29 * MINUTE)))
      const {
        firstEventAt: _,
        lastEventAt: __,
        ...state
      } = foldJourney(random.chance(0.5) ? landed : together(landed))
      return JSON.stringify(state)
    })
    expect([...new Set(states)]).toHaveLength(1)
  }
})

test('events are folded alike each alone and together with their like, whenever they arrive', () => {
  for (let index = 0; index < 1_000; index++) {
    const random = createRandom(`together/${index}`)
    const landed = eventsOf('together', index).map(({ bytes }) =>
      receivedAt(bytes, random.below(300 * MINUTE)),
    )
    if (landed.length > 0) expect(foldJourney(together(landed))).toEqual(foldJourney(landed))
  }
})

/** As the database groups them: events with the same facts are one, with their number and first and last receipt. */
function together(events: readonly JourneyEvent[]): JourneyEvent[] {
  const sayings = Map.groupBy(events, (event) => {
    const { kind, systemDecision, manualDecision, finalDecision, action, trigger, amlVersion } = event
    const { event: name, referenceNo, previousSystemDecision, finalWithoutManual } = event
    const decisions = [
      systemDecision,
      manualDecision,
      finalDecision,
      finalWithoutManual,
      previousSystemDecision,
    ]
    return JSON.stringify([kind, name, referenceNo, decisions, action, trigger, amlVersion])
  })
  return [...sayings.values()].map((alike) => ({
    ...(alike[0] as JourneyEvent),
    firstAt: Math.min(...alike.map(({ firstAt }) => firstAt)),
    lastAt: Math.max(...alike.map(({ lastAt }) => lastAt)),
    count: alike.length,
  }))
}
