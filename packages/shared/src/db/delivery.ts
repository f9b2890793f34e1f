import { type Envelope, type Environment, rawBytes } from '../idwise/envelope.ts'
import { type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import { eventKey, sha256 } from '../idwise/identity.ts'
import type { JourneyEvent } from '../idwise/journey.ts'

/** A delivery that a worker has taken from the queue or the inbox. */
export type Delivery = {
  readonly jobId: string
  readonly envelope: Envelope
  readonly via: 'redis' | 'inbox'
  /** Further deliveries of the same bytes that collapsed into this one on its way. */
  readonly duplicates: number
  /** The dead letter that this delivery replays. */
  readonly replayOf: number | null
}

/** A delivery, read and about to become a row. */
export type EventRow = {
  readonly delivery: Delivery
  readonly environment: Environment
  readonly event: IdwiseEvent
  /** The body as the text that it is, or as bytes; one of both. PostgreSQL makes the bytes of a text by itself. */
  readonly body:
    | { readonly text: string; readonly bytes: null }
    | { readonly text: null; readonly bytes: Buffer }
  eventKey: Buffer
}

/** @param withoutBody leaves the columns empty that hold JSON of the sender's, and sends its body as bytes */
export function readDelivery(delivery: Delivery, withoutBody: boolean): EventRow {
  const { envelope } = delivery
  const { raw } = envelope
  const isText = raw !== undefined && !withoutBody && !raw.includes('\0')
  const body = isText ? { text: raw, bytes: null } : { text: null, bytes: rawBytes(envelope) }
  const parsed = parseEvent(body.text ?? body.bytes ?? '')
  const event = withoutBody ? { ...parsed, json: null, details: null, finalAlone: false } : parsed
  const { eventId, normalisedEvent } = event
  // An event without id gets its key in keyAnonymous.
  const key = eventId === null ? Buffer.alloc(0) : eventKey(envelope.env, { normalisedEvent, eventId })
  return { delivery, environment: envelope.env, event, body, eventKey: key }
}

export function bodySha256({ body }: EventRow): Buffer {
  return sha256(body.text ?? body.bytes ?? '')
}

/** What an inserted row tells of its journey, as it would be read back. */
export function journeyEventOf({ event, delivery }: EventRow): JourneyEvent {
  const { kind, event: name, referenceNo, systemDecision, manualDecision, finalDecision, finalAlone } = event
  const { at } = delivery.envelope
  return {
    kind,
    event: name,
    referenceNo,
    systemDecision,
    manualDecision,
    finalDecision,
    finalAlone,
    action: event.details?.action ?? null,
    trigger: event.details?.trigger ?? null,
    previousSystemDecision: event.details?.previousSystemDecision ?? null,
    amlVersion: event.details?.updatedAMLVersionNumber ?? null,
    conflict: false,
    firstAt: at,
    lastAt: at,
    count: 1,
  }
}
