import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { LookedAt } from '../src/db/index.ts'
import { findDrift } from '../src/idwise/index.ts'
import { createTally } from '../src/operations/drift/tally.ts'

const SAMPLES = new URL('../samples/', import.meta.url)
const sample = (file: string) => readFileSync(new URL(file, SAMPLES))
const bytes = (document: unknown) => Buffer.from(JSON.stringify(document))
const finished = (fields: object) =>
  bytes({
    event: 'Finished Journey',
    body: { eventId: 'e', journeyId: 'j', systemDecision: 'Refer', ...fields },
  })
const driftsIn = (raw: Buffer, encoding?: string) =>
  findDrift(raw, encoding).drifts.map(({ kind, path, value }) =>
    [kind, path, value].filter(Boolean).join(' | '),
  )

describe('an event that is compared with what is documented', () => {
  const DRIFTING = ['variant-extra-fields.json', 'variant-unknown-event.json']

  it.each(readdirSync(SAMPLES).filter((file) => !DRIFTING.includes(file)))('%s has no drift', (file) => {
    expect(findDrift(sample(file))).toMatchObject({ isReadable: true, drifts: [] })
  })

  it('has a field that nobody knows, in the body and beside it, named without its value', () => {
    expect(driftsIn(sample('variant-extra-fields.json'))).toEqual([
      'field | apiVersion',
      'field | sentAt',
      ...['flowId', 'riskScore', 'tags', 'device', 'note'].map((name) => `field | body.${name}`),
    ])
  })

  it('has a name that nobody knows, of which only the name is drift', () => {
    expect(driftsIn(sample('variant-unknown-event.json'))).toEqual(['event | event | Archived Journey'])
    expect(driftsIn(bytes({ event: '  finished   JOURNEY', body: {} }))).toEqual([])
  })

  it.each([
    ['another value of a list', { systemDecision: 'Escalated' }, 'value | body.systemDecision | Escalated'],
    ['a value in other letters', { finalDecision: 'approved' }, 'value | body.finalDecision | approved'],
    ['a number for an id', { journeyId: 17 }, 'type | body.journeyId | integer instead of text'],
    ['null for a decision', { systemDecision: null }, 'type | body.systemDecision | null instead of text'],
    ['a field of another event', { action: 'Step Update' }, 'field | body.action'],
  ])('has %s', (_what, fields, drift) => {
    expect(driftsIn(finished(fields))).toEqual([drift])
  })

  it('has new things inside of lists and objects, each once', () => {
    const body = { requiredSteps: [{ stepId: 20, priority: 1 }, { stepId: 50, reasonCode: 'NEW_CODE' }, 'x'] }
    expect(driftsIn(bytes({ event: 'Verification Update Required', body }))).toEqual([
      'type | body.requiredSteps[].stepId | integer instead of text',
      'field | body.requiredSteps[].priority',
      'value | body.requiredSteps[].reasonCode | NEW_CODE',
      'type | body.requiredSteps[] | text instead of object',
    ])
  })

  it('keeps no text that may be an id or may be about a person', () => {
    const long = 'because she said so, '.repeat(9)
    for (const text of ['ada@example.org', '+44 20 7946 0958', long, '6925c1e7a4b0f83d5e9172ac', '']) {
      expect(driftsIn(finished({ systemDecision: text }))).toEqual(['value | body.systemDecision | *'])
    }
    expect(driftsIn(finished({ '6925c1e7a4b0f83d5e9172ac': 1, 'Ada Lovelace': 1, fe12c0b2a9d1: 1 }))).toEqual(
      ['field | body.*'],
    )
    expect(driftsIn(bytes({ event: 'Ada has 1234567 cats', body: {} }))).toEqual(['event | event | *'])
  })

  it('has an encoding that no worker decodes; gzip is none', () => {
    expect(driftsIn(gzipSync(finished({})), 'gzip')).toEqual([])
    expect(driftsIn(finished({}), 'Identity')).toEqual([])
    expect(driftsIn(Buffer.from('0b02', 'hex'), ' BR, gzip')).toEqual(['encoding | Content-Encoding | br'])
  })

  it.each([
    '',
    '{}',
    '[]',
    'no JSON',
    '{"event":"Finished Journey"}',
    '{"event":"","body":{}}',
    '{"body":{}}',
  ])('%j cannot be read, and is nothing else', (text) =>
    expect(findDrift(Buffer.from(text))).toMatchObject({ isReadable: false, drifts: [] }),
  )

  it('a body that is a text with JSON is of another type, and is compared as well', () => {
    const raw = bytes({ event: 'Finished Journey', body: JSON.stringify({ systemDecision: 'New' }) })
    expect(driftsIn(raw)).toEqual([
      'type | body | text instead of object',
      'value | body.systemDecision | New',
    ])
  })

  it('has at most twenty differences', () => {
    const fields = Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`field${n}`, n]))
    expect(findDrift(finished(fields)).drifts).toHaveLength(20)
  })
})

describe('the share of events that cannot be read', () => {
  const at = (text: string, n: number): LookedAt => ({
    ...{ processedAt: '2026-11-28 10:00:00+00', n, eventKey: 'aa', environment: 'live', encoding: null },
    raw: Buffer.from(text),
  })
  const good = finished({}).toString()
  const counted = (before: Parameters<typeof createTally>[0], unreadable: number, readable: number) => {
    const tally = createTally(before)
    for (let n = 0; n < unreadable; n++) tally.add(at('{}', n))
    for (let n = 0; n < readable; n++) tally.add(at(good, n))
    const { found, counts } = tally.sum()
    return { found: found.map(({ kind, count, share }) => [kind, count, share]), counts }
  }

  it('is drift from twenty events on, and counts those that were not told before', () => {
    const few = counted({}, 19, 1)
    expect(few).toEqual({ found: [], counts: { live: { events: 20, unreadable: 19, untold: 19 } } })
    const more = counted(few.counts, 1, 19)
    expect(more.found).toEqual([['unreadable', 20, 0.5]])
    expect(counted(more.counts, 2, 0).found).toEqual([['unreadable', 2, 22 / 42]])
  })

  it('is none below one in a hundred', () => {
    expect(counted({ live: { events: 10_000, unreadable: 30, untold: 0 } }, 1, 0).found).toEqual([])
  })
})
