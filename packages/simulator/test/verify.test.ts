import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  describeReport,
  type EventRow,
  type JourneyRow,
  parseMix,
  type Report,
  readLedger,
  type Summary,
  simulate,
  verify,
} from '../src/index.ts'
import { landRows, type Tables } from './landing.ts'
import { oneEvent, type Received, startReceiver, status } from './receiver.ts'

const DOUBT = 'manual decisions "Approved" and "Rejected" came too close together to know the last one'

let folder: string
let ledgerPath: string
let requests: Received[]
let summary: Summary

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-simulator-'))
  ledgerPath = join(folder, 'run.ledger')
  const seen = new Set<string>()
  await using receiver = await startReceiver((response, { sha256 }) => {
    // One event in ten is stored but refused, as by a store that dies before it can answer.
    const refused = !seen.has(sha256) && seen.add(sha256).size % 10 === 0
    status(refused ? 503 : 200)(response)
  })
  requests = receiver.requests
  summary = await simulate({
    ...oneEvent(receiver.url),
    credentials: { live: [{ kind: 'none' }], sandbox: [{ kind: 'none' }] },
    mix: parseMix('all'),
    ratePerSecond: 1000,
    journeys: 500,
    durationMs: undefined,
    connections: 32,
    // A busy machine may take long; no event is to stay without its answer.
    timeoutMs: 20_000,
    ledgerPath,
  })
})
afterAll(() => rm(folder, { recursive: true }))

function check(tables: Partial<Tables> = {}, ledger = ledgerPath): Promise<Report> {
  return verify({ ledger: readLedger(ledger), deadLetters: [], ...landRows(requests), ...tables })
}

async function alteredLedger(alter: (lines: string[]) => string[]): Promise<string> {
  const path = join(folder, 'altered.ledger')
  const lines = (await readFile(ledgerPath, 'utf8')).split('\n').slice(0, -1)
  await writeFile(path, `${alter(lines).join('\n')}\n`)
  return path
}

test('a receiver that does as it should passes, with few fields left open', async () => {
  const report = await check()
  expect(report.findings).toEqual([])
  expect(report).toMatchObject({
    ok: true,
    requests: summary.requests,
    missing: 0,
    mismatched: 0,
    landedTwice: 0,
    nobodySent: 0,
    otherTimes: 0,
    journeysDiffering: 0,
    ledgerEnds: true,
  })
  expect(report.landed).toBe(report.sent)
  expect(report.acknowledged).toBe(report.sent)
  expect(report.journeys).toBeGreaterThan(400)
  expect(report.leftOpen).toBeLessThan(report.journeys * 0.1)
})

test('an acknowledged event that is not there is missing, or a dead letter, which no healthy event should be', async () => {
  const { events } = landRows(requests)
  const lost = events.find(({ event }) => event === 'Finished Spot Check')
  if (!lost) throw new Error('no spot check was sent')
  const rest = events.filter((row) => row !== lost)
  expect(await check({ events: rest })).toMatchObject({
    ok: false,
    missing: 1,
    landed: events.length - 1,
    findings: [`missing: ${lost.environment} finished spot check ${lost.event_id}`],
  })
  const dead = { ...lost, reason: 'rejected_by_database', state: 'open' }
  expect(await check({ events: rest, deadLetters: [dead] })).toMatchObject({
    ok: false,
    missing: 0,
    deadLetters: 1,
  })
  const resolved = { ...dead, state: 'resolved' }
  expect(await check({ events: rest, deadLetters: [resolved] })).toMatchObject({ missing: 1, deadLetters: 0 })
})

test('other bytes, a second row and a row that nobody sent are each found', async () => {
  const { events } = landRows(requests)
  const [first, second, third, ...rest] = events.filter(
    ({ event_id }) => event_id !== null && event_id !== 'test',
  )
  if (!first || !second || !third) throw new Error('nothing was sent')
  const anonymous = events.filter(({ event_id }) => event_id === null || event_id === 'test')
  const report = await check({
    events: [
      { ...first, body_sha256: 'ff' },
      second,
      second,
      third,
      { ...third, event_id: 'x' },
      ...rest,
      ...anonymous,
    ],
  })
  expect(report).toMatchObject({ ok: false, mismatched: 1, landedTwice: 1, nobodySent: 1, missing: 0 })
})

test('rows of other times are nobody’s business, and a body without id may land again after an hour', async () => {
  const { events } = landRows(requests)
  const anonymous = events.find(({ event_id }) => event_id === null)
  const keyed = events.find(({ event_id }) => event_id !== null)
  if (!anonymous || !keyed) throw new Error('nothing was sent')
  const before = (minutes: number) => new Date(anonymous.received_at.getTime() - minutes * 60_000)
  const old = { ...keyed, event_id: 'older', received_at: before(5) }
  const sameBody = { ...anonymous, received_at: before(90) }
  expect(await check({ events: [...events, old, sameBody] })).toMatchObject({ ok: true, otherTimes: 2 })
  const tooSoon = { ...anonymous, received_at: before(30) }
  expect(await check({ events: [...events, tooSoon] })).toMatchObject({ ok: false, landedTwice: 1 })
})

const ALTERED_JOURNEYS: Partial<JourneyRow>[] = [
  { reference_no: 'another' },
  { stage: 'unknown' },
  { system_decision: 'Rejected' },
  { manual_decision: 'Approved' },
  { final_decision: 'Approved?' },
  { manual_decision: 'Approved', final_decision: 'Approved', stage: 'reviewed' },
  { manual_decision: 'Approved', final_decision: 'Approved', stage: 'reviewed', needs_attention: 'by hand' },
  { final_decision: 'Rejected', needs_attention: DOUBT },
  { aml_version: 7 },
  { resubmission: 'done' },
  { renewal: 'overdue', stage: 'renewal_overdue' },
  { events: 1 },
  { first_event_at: new Date(0) },
  { last_event_at: new Date(0) },
  { needs_attention: 'by hand' },
  { needs_attention: DOUBT },
]

test.each(ALTERED_JOURNEYS)('a journey altered to %o is found', async (altered) => {
  const { journeys } = landRows(requests)
  const index = journeys.findIndex(
    ({ needs_attention, stage, system_decision }) =>
      needs_attention === null && stage === 'finished' && system_decision === 'Complete',
  )
  const row = { ...(journeys[index] as JourneyRow), ...altered }
  const report = await check({ journeys: journeys.with(index, row) })
  expect(report).toMatchObject({ ok: false, journeysDiffering: 1, missing: 0 })
})

test.each([
  { final_decision: 'Complete' },
  { manual_decision: 'Escalated', final_decision: 'Escalated' },
  { manual_decision: null, final_decision: 'Refer', stage: 'finished' },
  { system_decision: 'Incomplete' },
  { stage: 'unknown' },
  { resubmission: 'open' },
])('one that needs attention is not excused from %o, of which it does not speak', async (altered) => {
  const { journeys } = landRows(requests)
  const index = journeys.findIndex(({ needs_attention }) =>
    /^manual decisions "Rejected"/.test(needs_attention ?? ''),
  )
  const row = { ...(journeys[index] as JourneyRow), ...altered }
  expect(await check({ journeys: journeys.with(index, row) })).toMatchObject({
    ok: false,
    journeysDiffering: 1,
  })
})

test('a journey without a row is found', async () => {
  const { journeys } = landRows(requests)
  const [first, ...rest] = journeys
  const report = await check({ journeys: rest })
  expect(report).toMatchObject({ ok: false, journeysDiffering: 1, missing: 0 })
  expect(report.findings).toEqual([
    `journey ${first?.environment} ${first?.journey_id} has events but no row`,
  ])
})

test.each([
  ['kind', { kind: 'unrecognised' }],
  ['journey_id', { journey_id: 'another' }],
  ['reference_no', { reference_no: 'another' }],
  ['system_decision', { system_decision: 'Rejected' }],
  ['manual_decision', { manual_decision: 'Approved' }],
  ['final_decision', { final_decision: 'Approved' }],
  ['body', { body: { event: 'Finished Journey', body: {} } }],
  ['body', { body: null }],
  ['body_sha256', { stored_sha256: 'ff' }],
] as const)('a row of an event whose %s was altered is found: %o', async (column, altered) => {
  const { events } = landRows(requests)
  const index = events.findIndex(({ kind }) => kind === 'finished_journey')
  const report = await check({ events: events.with(index, { ...(events[index] as EventRow), ...altered }) })
  expect(report).toMatchObject({ ok: false, alteredRows: 1, mismatched: 0 })
  expect(report.findings.join()).toContain(`${column} altered: `)
})

test('an event whose id was altered is missing, and a row that nobody sent', async () => {
  const { events } = landRows(requests)
  const index = events.findIndex(({ kind }) => kind === 'finished_journey')
  const row = { ...(events[index] as EventRow), event_id: 'another' }
  expect(await check({ events: events.with(index, row) })).toMatchObject({
    ok: false,
    missing: 1,
    nobodySent: 1,
  })
})

test('deliveries that were counted and never sent are reported, and more than a few are a fault; too few are none', async () => {
  const { events } = landRows(requests)
  const index = events.findIndex(({ kind }) => kind === 'finished_journey')
  const row = events[index] as EventRow
  const counted = (duplicates: number) => check({ events: events.with(index, { ...row, duplicates }) })
  const few = await counted(row.duplicates + 2)
  expect(few).toMatchObject({ ok: true, overcounted: 2, journeysDiffering: 0 })
  expect(few.findings.join()).toContain('counted 2 times more than sent')
  expect(await counted(1_000)).toMatchObject({ ok: false, journeysDiffering: 0 })
  expect(await counted(0)).toMatchObject({ ok: true, overcounted: 0 })
})

test('what somebody else writes during the run is a fault, and after it is not', async () => {
  const { events } = landRows(requests)
  const last = events.toSorted((a, b) => Number(a.received_at) - Number(b.received_at)).at(-1) as EventRow
  const stranger = (laterMs: number) => ({
    ...last,
    event_id: 'strange',
    received_at: new Date(last.received_at.getTime() + laterMs),
  })
  expect(await check({ events: [...events, stranger(-1)] })).toMatchObject({ ok: false, nobodySent: 1 })
  expect(await check({ events: [...events, stranger(10_000)] })).toMatchObject({
    ok: true,
    nobodySent: 0,
    otherTimes: 1,
  })
})

test('a seed that was used before is found by its events, not by test requests, which are the same in every run', async () => {
  const { events } = landRows(requests)
  const early = (row: EventRow) => ({
    ...row,
    received_at: new Date(row.received_at.getTime() - 10 * 60_000),
  })
  const tests = events.findIndex(({ event_id }) => event_id === 'test')
  expect(await check({ events: events.with(tests, early(events[tests] as EventRow)) })).toMatchObject({
    ok: true,
    landedBefore: 0,
  })
  const checks = events.findIndex(({ kind }) => kind === 'finished_spot_check')
  const again = await check({ events: events.with(checks, early(events[checks] as EventRow)) })
  expect(again.landedBefore).toBe(1)
})

test('a line of the ledger that was altered, removed or swapped is found by its number', async () => {
  const altered = await alteredLedger((lines) =>
    lines.map((line, i) => (i === 700 ? line.replace(/"at":\d/, '"at":2') : line)),
  )
  expect(await check({}, altered)).toMatchObject({ ok: false, alteredLines: [701] })
  const removed = await alteredLedger((lines) => lines.toSpliced(700, 1))
  expect(await check({}, removed)).toMatchObject({ ok: false, alteredLines: [701] })
  const swapped = await alteredLedger((lines) => lines.toSpliced(700, 2, lines[701] ?? '', lines[700] ?? ''))
  expect(await check({}, swapped)).toMatchObject({ ok: false, alteredLines: [701, 702, 703] })
})

test('a ledger that breaks off is one of a crashed sender: its events are known, and it is said', async () => {
  const cut = await alteredLedger((lines) => lines.slice(0, 900))
  const { events } = landRows(requests)
  const report = await check({ events: events.slice(0, 100), journeys: [] }, cut)
  expect(report).toMatchObject({ ok: false, alteredLines: [], ledgerEnds: false, nobodySent: 0 })
  const headless = await check({}, await alteredLedger((lines) => lines.slice(0, -1)))
  expect(headless).toMatchObject({
    ok: false,
    ledgerEnds: false,
    missing: 0,
    journeysDiffering: 0,
    findings: [],
  })
  expect(describeReport(headless).join('\n')).toMatch(/The ledger breaks off.*Not as it should be\.$/s)
})

test('every attempt is in the ledger with the event’s id, hash and answer, and each event before its attempts', async () => {
  const announced = new Map<number, string>()
  const answers: Record<string, number> = {}
  for await (const line of readLedger(ledgerPath)) {
    if (line.kind !== 'record') throw new Error('altered')
    const { record } = line
    if (record.type === 'event') announced.set(record.n, record.sha256)
    if (record.type !== 'attempt') continue
    expect(announced.get(record.n)).toBe(record.sha256)
    const answer = record.status ?? record.answer
    answers[answer] = (answers[answer] ?? 0) + 1
  }
  expect(answers).toEqual(summary.answers)
})

test('what landed although it was never acknowledged is counted, and is no fault', async () => {
  await using receiver = await startReceiver(status(500))
  const path = join(folder, 'unacknowledged.ledger')
  await simulate({ ...oneEvent(receiver.url), ledgerPath: path })
  const report = await verify({ ledger: readLedger(path), deadLetters: [], ...landRows(receiver.requests) })
  expect(report).toMatchObject({
    ok: true,
    sent: 1,
    acknowledged: 0,
    landed: 1,
    landedUnacknowledged: 1,
    requests: 4,
  })
})

test('a sender that is killed has in its ledger whatever it has sent', async () => {
  const path = join(folder, 'killed.ledger')
  await using receiver = await startReceiver((response) => {
    if (receiver.requests.length === 300) sender.kill('SIGKILL')
    status(200)(response)
  })
  const options = { ...oneEvent(receiver.url), ratePerSecond: 2000, durationMs: 10_000, ledgerPath: path }
  const index = new URL('../src/index.ts', import.meta.url)
  const code = `import { simulate } from '${index}'; await simulate(${JSON.stringify(options)})`
  const sender = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: 'inherit' })
  await once(sender, 'exit')
  const { events } = landRows(receiver.requests)
  const report = await verify({ ledger: readLedger(path), deadLetters: [], events, journeys: [] })
  expect(report).toMatchObject({ nobodySent: 0, landed: events.length, alteredLines: [], ledgerEnds: false })
})

test('an existing ledger is never written over, and another file is not taken for one', async () => {
  await expect(simulate({ ...oneEvent('http://127.0.0.1:9'), ledgerPath })).rejects.toThrow(/exists already/)
  const other = join(folder, 'other')
  await writeFile(other, 'Dear diary\n')
  await expect(check({}, other)).rejects.toThrow(/is not a ledger/)
  await expect(check({}, join(folder, 'nowhere'))).rejects.toThrow(/cannot be read \(ENOENT\)/)
})
