import type { AttemptRecord, EventRecord, LedgerLine } from '../ledger.ts'
import { documentSum, type Facts, identityOf, readFacts } from './facts.ts'

/** One event as the ledger knows it. Times are ms since 1970 by the sender's clock. */
export type SentEvent = {
  readonly environment: string
  readonly sha256: string
  readonly facts: Facts
  /** Of the JSON document, see `documentSum`. */
  readonly document: string | null
  /** The attempts that were answered with 200, including those that came too late for the sender. */
  readonly acknowledged: { readonly at: number; readonly end: number }[]
  /** How many requests may have brought its whole body to the receiver. */
  deliveries: number
  /** Its place in the journey. */
  readonly moment: number
  readonly test: boolean
}

export type Sent = {
  /** By identity: two test requests with the same body are one event. */
  readonly events: ReadonlyMap<string, SentEvent>
  readonly requests: number
  /** When the run began and ended. `end` is undefined if the ledger breaks off. */
  readonly start: number
  readonly end: number | undefined
  readonly alteredLines: readonly number[]
}

export async function readSent(ledger: Iterable<LedgerLine> | AsyncIterable<LedgerLine>): Promise<Sent> {
  const events = new Map<string, SentEvent>()
  const numbered = new Map<number, SentEvent>()
  const alteredLines: number[] = []
  let requests = 0
  let start = 0
  let end: number | undefined
  for await (const line of ledger) {
    if (line.kind === 'altered') {
      alteredLines.push(line.line)
      continue
    }
    const { record } = line
    switch (record.type) {
      case 'run':
        start = record.at
        break
      case 'event':
        numbered.set(record.n, enter(events, record))
        break
      case 'attempt': {
        requests++
        const event = numbered.get(record.n)
        if (event) addAttempt(event, record)
        break
      }
      case 'end':
        end = record.at
        break
      default:
        record satisfies never
    }
  }
  return { events, requests, start, end, alteredLines }
}

function enter(events: Map<string, SentEvent>, record: EventRecord): SentEvent {
  const { environment, sha256, moment, test = false } = record
  const text = record.text ?? Buffer.from(record.base64 ?? '', 'base64').toString('latin1')
  const facts = readFacts(text)
  const identity = identityOf(environment, facts.name, facts.eventId, sha256)
  const known = events.get(identity)
  if (known) return known
  const document = documentSum(text)
  const event = { environment, sha256, facts, document, acknowledged: [], deliveries: 0, moment, test }
  events.set(identity, event)
  return event
}

function addAttempt(event: SentEvent, { answer, status, at, end }: AttemptRecord): void {
  if (!NEVER_ARRIVED.has(answer)) event.deliveries++
  if (answer === 'answered' && status === 200) event.acknowledged.push({ at, end })
}

const NEVER_ARRIVED: ReadonlySet<AttemptRecord['answer']> = new Set(['refused', 'no_connection', 'cut'])
