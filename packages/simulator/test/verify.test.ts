import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseMix, type Report, readLedger, type Summary, simulate, verify } from '../src/index.ts'
import { landRows, type Tables } from './landing.ts'
import { oneEvent, type Received, startReceiver, status } from './receiver.ts'

let folder: string
let ledgerPath: string
let requests: Received[]
let summary: Summary

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-simulator-'))
  ledgerPath = join(folder, 'run.ledger')
  const seen = new Set<string>()
  await using receiver = await startReceiver((response, { sha256 }) => {
    // One in ten is refused although it is kept, as by a store that takes an event and dies before it says so.
    const refused = !seen.has(sha256) && seen.add(sha256).size % 10 === 0
    status(refused ? 503 : 200)(response)
  })
  requests = receiver.requests
  summary = await simulate({
    ...oneEvent(receiver.url),
    credentials: { live: [{ kind: 'none' }], sandbox: [{ kind: 'none' }] },
    mix: parseMix('all'),
    ratePerSecond: 2000,
    journeys: 500,
    durationMs: undefined,
    connections: 32,
    timeoutMs: 2000,
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

test('an acknowledged event that is not there is missing, unless it is a dead letter', async () => {
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
    ok: true,
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

test('a journey that differs in any field, or has no row, is found', async () => {
  const { journeys } = landRows(requests)
  const [first, second, third, ...rest] = journeys
  if (!first || !second || !third) throw new Error('there are no journeys')
  const report = await check({
    journeys: [{ ...first, final_decision: 'Approved?' }, { ...second, events: second.events + 1 }, ...rest],
  })
  expect(report).toMatchObject({ ok: false, journeysDiffering: 3, missing: 0 })
  expect(report.findings.join()).toContain(
    `journey ${third.environment} ${third.journey_id} has events but no row`,
  )
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
  expect(report).toMatchObject({ alteredLines: [], ledgerEnds: false, nobodySent: 0 })
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
