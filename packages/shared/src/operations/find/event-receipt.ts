import * as z from 'zod'
import { parseJson } from '../../envelope.ts'
import { eventKey, parseEvent, sha256 } from '../../idwise/index.ts'
import { release } from '../../runtime/index.ts'
import type { ReceivedEvent } from './received.ts'

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const time = z.iso.datetime()

const schema = z.object({
  kind: z.literal('sluice event receipt'),
  version: z.literal(1),
  eventKey: hash,
  environment: z.string(),
  /** The bytes as they came, in base64. */
  bytes: z.base64(),
  /** Of the bytes. */
  sha256: hash,
  /** What was kept of the headers, and the address of the sender. */
  request: z.record(z.string(), z.unknown()).nullable(),
  receivedAt: time,
  /** Null if it has not landed: it waits, or is a dead letter. */
  landedAt: time.nullable(),
  /** How it came to be landed: redis, inbox, replay. */
  via: z.string().nullable(),
  /** Further deliveries of the same bytes. */
  duplicates: z.int(),
  /** The version of Sluice that wrote this file. */
  release: z.string(),
})

/** What Sluice knows of one event, to be given to the sender's support. */
export type EventReceipt = z.infer<typeof schema>

export function writeEventReceipt(event: ReceivedEvent): EventReceipt {
  return {
    kind: 'sluice event receipt',
    version: 1,
    eventKey: event.eventKey,
    environment: event.environment,
    bytes: event.raw.toString('base64'),
    sha256: (event.bodySha256 ?? sha256(event.raw)).toString('hex'),
    request: event.request,
    receivedAt: event.receivedAt.toISOString(),
    landedAt: event.processedAt?.toISOString() ?? null,
    via: event.via ?? null,
    duplicates: event.duplicates ?? 0,
    release: release(),
  }
}

export type ReceiptCheck =
  | {
      readonly kind: 'right'
      readonly receipt: EventReceipt
      readonly event: string | null
      readonly bytes: number
    }
  | { readonly kind: 'wrong'; readonly words: readonly string[] }

/** Checks that a receipt agrees with itself: its bytes have its hash, and give its event key. */
export function checkEventReceipt(text: string): ReceiptCheck {
  const receipt = schema.safeParse(parseJson(text)).data
  if (!receipt) return { kind: 'wrong', words: ['This is no receipt of an event.'] }
  const raw = Buffer.from(receipt.bytes, 'base64')
  const event = parseEvent(raw)
  const { normalisedEvent, eventId } = event
  const words: string[] = []
  const hash = sha256(raw).toString('hex')
  if (hash !== receipt.sha256) words.push(`Its bytes have the SHA-256 ${hash}, not ${receipt.sha256}.`)
  // The key of an event without id depends on when its bytes were first received.
  const key = eventId === null ? undefined : eventKey(receipt.environment, { normalisedEvent, eventId })
  if (key && key.toString('hex') !== receipt.eventKey) {
    words.push(`Its bytes are the event ${key.toString('hex')}, not ${receipt.eventKey}.`)
  }
  if (receipt.landedAt !== null && receipt.landedAt < receipt.receivedAt)
    words.push('It says that the event landed before it was received.')
  if (words.length > 0) return { kind: 'wrong', words }
  return { kind: 'right', receipt, event: event.event, bytes: raw.length }
}
