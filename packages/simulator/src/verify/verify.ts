import type { LedgerLine } from '../ledger.ts'
import { identityOf, normalise, sumOf } from './facts.ts'
import { compareJourneys, journeyKey, type KnownJourney } from './journeys.ts'
import { isUnknown } from './model.ts'
import {
  createFindings,
  type DeadLetterRow,
  type EventRow,
  type Found,
  type JourneyRow,
  type Report,
  type Rows,
} from './report.ts'
import { readSent, type Sent, type SentEvent } from './sent.ts'

/**
 * What Sluice promises, written down a second time on purpose: the verifier must not repeat a mistake of the product.
 */
const ANONYMOUS_WINDOW_MS = 60 * 60_000
/** How far the clocks of sender and receiver may differ. A row beyond that belongs to another run. */
const CLOCK_SKEW_MS = 60_000

/**
 * Compares a ledger with the database that received its run. The ledger is held in memory (some 1 KB an event), and the
 * rows are read one by one. The database may also hold other runs, of other seeds.
 */
export async function verify(given: {
  ledger: Rows<LedgerLine>
  events: Rows<EventRow>
  deadLetters: Rows<DeadLetterRow>
  journeys: Rows<JourneyRow>
}): Promise<Report> {
  const sent = await readSent(given.ledger)
  const found = createFindings()
  for (const line of sent.alteredLines) found('altered', `line ${line} of the ledger was altered`)
  const { rowsOf, otherTimes } = await readLanded(given.events, sent, found)
  const dead = await readDeadLetters(given.deadLetters)

  const count = { acknowledged: 0, landed: 0, landedUnacknowledged: 0, landedBefore: 0, overcounted: 0 }
  const known = new Map<string, KnownJourney>()
  for (const [identity, event] of sent.events) {
    const landed = rowsOf.get(identity) ?? []
    const rows = landed.map(({ at }) => at).sort((a, b) => a - b)
    const tooMany = rowsTooMany(event, rows)
    const acknowledged = event.acknowledged.length > 0
    // The bytes of a test request are the same in every run.
    const landedBefore = !event.test && rows.some((at) => at < sent.start)
    if (acknowledged) count.acknowledged++
    if (rows.length > 0) count.landed++
    if (rows.length > 0 && !acknowledged) count.landedUnacknowledged++
    if (landedBefore) count.landedBefore++
    if (tooMany > 0) found('twice', `landed twice: ${nameOf(event)}`)
    const over = landedBefore || event.test ? 0 : deliveriesOf(landed) - event.deliveries
    if (over > 0) {
      count.overcounted += over
      found('overcounted', `counted ${over} times more than sent: ${nameOf(event)}`)
    }
    const reason = dead.get(bytesKey(event.environment, event.sha256))
    if (reason !== undefined) found('dead', `dead letter (${reason}): ${nameOf(event)}`)
    else if (!allLanded(event, rows)) found('missing', `missing: ${nameOf(event)}`)
    if (event.facts.journeyId === null) continue
    const key = journeyKey(event.environment, event.facts.journeyId)
    const journey = known.get(key) ?? { landed: [], complete: true }
    known.set(key, journey)
    for (const at of rows.slice(0, rows.length - tooMany)) journey.landed.push({ ...event, at })
    if (rows.length === 0) journey.complete = false
  }
  for (const [key, { landed }] of known) if (landed.length === 0) known.delete(key)
  const journeys = known.size
  const leftOpen = await compareJourneys(given.journeys, known, found)

  const { missing, mismatched, row, twice, nobodySent, differs, dead: deadLetters, altered } = found.counts
  const ledgerEnds = sent.end !== undefined
  const faults = missing + mismatched + row + twice + nobodySent + differs + deadLetters + altered
  return {
    ok: faults === 0 && ledgerEnds && count.overcounted <= toleratedOvercount(sent.requests),
    requests: sent.requests,
    sent: sent.events.size,
    ...count,
    missing,
    mismatched,
    alteredRows: row,
    landedTwice: twice,
    nobodySent,
    otherTimes,
    journeys,
    journeysDiffering: differs,
    leftOpen,
    deadLetters,
    alteredLines: sent.alteredLines,
    ledgerEnds,
    findings: found.list,
  }
}

/** How many deliveries may be counted too often: 1 % of the requests, or three. */
function toleratedOvercount(requests: number): number {
  return Math.max(3, requests / 100)
}

type Landed = { readonly at: number; readonly deliveries: number }

/** Checks every row. @returns the rows of the ledger's events, by identity */
async function readLanded(rows: Rows<EventRow>, sent: Sent, found: Found) {
  const rowsOf = new Map<string, Landed[]>()
  const strangers: { at: number; text: string }[] = []
  const ledgerEnd = sent.end ?? Number.POSITIVE_INFINITY
  let end = ledgerEnd
  let otherTimes = 0
  for await (const row of rows) {
    const { environment, event_id, body_sha256 } = row
    const identity = identityOf(environment, normalise(row.event ?? ''), event_id, body_sha256)
    const event = sent.events.get(identity)
    const at = row.received_at.getTime()
    const during = at >= sent.start && at <= ledgerEnd + CLOCK_SKEW_MS
    // Without event id, the same body at another time is another event.
    if (!event || (event_id === null && !during && at + ANONYMOUS_WINDOW_MS < sent.start)) {
      const text = `nobody sent: ${environment} ${row.event} ${event_id ?? body_sha256}`
      if (event || !during) otherTimes++
      else strangers.push({ at, text })
      continue
    }
    if (during) end = Math.max(end, at)
    if (event.sha256 !== body_sha256) found('mismatched', `bytes differ: ${nameOf(event)}`)
    const columns = alteredColumns(row, event)
    if (columns.length > 0) found('row', `${columns.join(', ')} altered: ${nameOf(event)}`)
    addTo(rowsOf, identity, { at, deliveries: 1 + row.duplicates })
  }
  // By the clock of the receiver, the run ends with the last of its events.
  for (const { at, text } of strangers) {
    if (at <= end) found('nobodySent', text)
    else otherTimes++
  }
  return { rowsOf, otherTimes }
}

/** The columns that differ from what was sent. If the body differs, only the column of its hash is checked. */
function alteredColumns(row: EventRow, { facts, sha256, document }: SentEvent): string[] {
  const hash = row.stored_sha256 === row.body_sha256 ? [] : ['body_sha256']
  if (row.body_sha256 !== sha256) return hash
  const kind = facts.hasBody && !isUnknown(facts) ? facts.name.replaceAll(' ', '_') : 'unrecognised'
  const columns = [
    ['kind', row.kind, kind],
    ['event_id', row.event_id, facts.eventId],
    ['journey_id', row.journey_id, facts.journeyId],
    ['reference_no', row.reference_no, facts.referenceNo],
    ['system_decision', row.system_decision, facts.systemDecision],
    ['manual_decision', row.manual_decision, facts.manualDecision],
    ['final_decision', row.final_decision, facts.finalDecision],
    ['body', sumOf(row.body), document],
  ] as const
  return [...hash, ...columns.filter(([, is, should]) => is !== should).map(([name]) => name)]
}

function deliveriesOf(landed: readonly Landed[]): number {
  return landed.reduce((sum, { deliveries }) => sum + deliveries, 0)
}

/** @returns the reason of each dead letter that is still one, by environment and bytes */
async function readDeadLetters(rows: Rows<DeadLetterRow>): Promise<Map<string, string>> {
  const dead = new Map<string, string>()
  for await (const row of rows) {
    if (row.state !== 'resolved')
      dead.set(bytesKey(row.environment, row.body_sha256), `${row.reason}, ${row.state}`)
  }
  return dead
}

/** Whether each acknowledged delivery has its row. Without event id it must be received at most 60 minutes earlier. */
function allLanded(event: SentEvent, rows: readonly number[]): boolean {
  if (event.facts.eventId !== null) return rows.length > 0 || event.acknowledged.length === 0
  return event.acknowledged.every(({ at, end }) =>
    rows.some((row) => row <= end + CLOCK_SKEW_MS && at <= row + ANONYMOUS_WINDOW_MS + CLOCK_SKEW_MS),
  )
}

function rowsTooMany(event: SentEvent, rows: readonly number[]): number {
  if (event.facts.eventId !== null) return Math.max(0, rows.length - 1)
  return rows.filter((at, i) => i > 0 && at - (rows[i - 1] ?? at) < ANONYMOUS_WINDOW_MS).length
}

function nameOf({ environment, facts, sha256 }: SentEvent): string {
  return `${environment} ${facts.name || 'test request'} ${facts.eventId ?? sha256}`
}

function bytesKey(environment: string, sha256: string): string {
  return `${environment} ${sha256}`
}

function addTo<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
