import { findDrift } from '@sluice/shared/idwise'
import { UserError } from '@sluice/shared/runtime'
import { expect, test } from 'vitest'
import { parseMix } from '../src/index.ts'
import type { PlannedEvent } from '../src/send/scenario.ts'
import { createTraffic } from '../src/send/traffic.ts'

const ENVIRONMENTS = ['live', 'sandbox'] as const

function traffic(seed: string, mix: string, journeys: number): PlannedEvent[] {
  return [...createTraffic({ seed, mix: parseMix(mix), environments: ENVIRONMENTS, journeys })]
}

function literals(events: PlannedEvent[]): string[] {
  const names = events.flatMap(({ bytes }) => /^\{"event":"([^"]+)"/.exec(bytes.toString())?.[1] ?? [])
  return [...new Set(names)].sort()
}

test('the same seed gives the same traffic, byte for byte, and another seed gives other traffic', () => {
  const first = traffic('seed', 'all', 300)
  expect(traffic('seed', 'all', 300)).toEqual(first)
  expect(traffic('another', 'all', 300)).not.toEqual(first)
})

test('the plain mix has every current event type, each with its own id, and nothing else', () => {
  const events = traffic('plain', 'plain', 2000)
  expect(literals(events)).toEqual([
    'AML Monitor Update',
    'Finished Journey',
    'Finished Spot Check',
    'Finished Step',
    'Finished User Steps',
    'KYC Renewal Deadline Exceeded',
    'Manually Reviewed',
    'Updated Journey',
    'Verification Update Required',
  ])
  expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(events.length)
  expect(events.every(({ disturbance }) => disturbance === undefined)).toBe(true)
})

test('2,000 journeys of the whole mix have every event type, shape, spelling and disturbance there is', () => {
  const events = traffic('all', 'all', 2000)
  expect(literals(events)).toEqual([
    'AML Monior Update',
    'AML Monitor Update',
    'Archived Journey',
    'Finished Journey',
    'Finished Ongoing Check',
    'Finished Spot Check',
    'Finished Step',
    'Finished User Steps',
    'Finished spot Check',
    'KYC Renewal Deadline Exceeded',
    'Manually Reviewed',
    'Step Submitted',
    'Test',
    'Updated Journey',
    'Verification Update Required',
  ])
  const disturbances = new Set(events.map(({ disturbance }) => disturbance))
  expect(disturbances).toEqual(new Set([undefined, 'twin', 'again', 'late', 'cut', 'hang_up', 'slow']))
  const bodies = events.map(({ bytes }) => bytes.toString())
  expect(bodies).toContain('')
  expect(bodies.filter((body) => body.includes('"referenceNo":null')).length).toBeGreaterThan(100)
  expect(bodies.filter((body) => body.includes('"apiVersion"')).length).toBeGreaterThan(100)
  expect(bodies.filter((body) => body.includes('"Escalated"')).length).toBeGreaterThan(5)
  expect(events.filter(({ eventId }) => eventId === null).length).toBeGreaterThan(200)
  const sandbox = events.filter(({ environment }) => environment === 'sandbox').length / events.length
  expect(sandbox).toBeGreaterThan(0.15)
  expect(sandbox).toBeLessThan(0.25)
})

test('a mix that cannot be read is refused with every problem in it', () => {
  expect(parseMix('plain,late=0.5,test=1')).toEqual({ ...parseMix('plain'), late: 0.5, test: 1 })
  expect(() => parseMix('al')).toThrow(UserError)
  expect(() => parseMix('all,latte=0.1,late=2,slow=')).toThrow(/latte=0.1.*late=2.*slow=/)
})

test('nothing but what is made up on purpose differs from what is documented', () => {
  const documented = traffic('clean', 'all,extra-fields=0,unknown-events=0,unknown-decisions=0,test=0', 1000)
  expect(documented.flatMap(({ bytes }) => findDrift(bytes).drifts)).toEqual([])
  const all = traffic('all', 'all', 1000).flatMap(({ bytes }) => findDrift(bytes).drifts)
  const texts = new Set(all.map(({ kind, path, value }) => `${kind} ${path} ${value}`.trim()))
  const made = (text: string) => /^event event Test$|^value body\.\w+Decision Escalated$/.test(text)
  expect([...texts].filter((text) => !made(text)).sort()).toEqual([
    'event event Archived Journey',
    'field apiVersion',
    ...['device', 'flowId', 'note', 'riskScore', 'tags'].map((name) => `field body.${name}`),
    'field sentAt',
    'type body.stepId integer instead of text',
    'type body.updatedAMLVersionNumber text instead of integer',
  ])
  expect([...texts]).toContain('value body.systemDecision Escalated')
})
