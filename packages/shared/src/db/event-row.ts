import { type Envelope, type Environment, rawBytes } from '../envelope.ts'
import { type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import { eventKey, sha256 } from '../idwise/identity.ts'
import { rewritten } from '../idwise/jsonb.ts'

/** A delivery that a worker has taken from the queue or the inbox. */
export type Job = {
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
  readonly delivery: Job
  readonly environment: Environment
  readonly event: IdwiseEvent
  /** The body as the text that it is, or as bytes; one of both. PostgreSQL makes the bytes of a text by itself. */
  readonly body:
    | { readonly text: string; readonly bytes: null }
    | { readonly text: null; readonly bytes: Buffer }
  /** When it arrived, ms since 1970: by the ingest's clock, which is not believed where it is ahead of Postgres'. */
  readonly at: number
  eventKey: Buffer
}

/**
 * How the document of a body is stored: as it was sent, if jsonb takes it; as JavaScript writes it; or not at all, and
 * nothing else either that is JSON of the sender's. The bytes are stored always.
 */
export type BodyAs = 'sent' | 'rewritten' | 'none'

/** @param now Postgres' clock, ms since 1970 */
export function readJob(delivery: Job, bodyAs: BodyAs, now: number): EventRow {
  const { envelope } = delivery
  const { raw } = envelope
  const isText = raw !== undefined && bodyAs === 'sent' && !raw.includes('\0')
  const body = isText ? { text: raw, bytes: null } : { text: null, bytes: rawBytes(envelope) }
  const event = asTold(parseEvent(body.text ?? body.bytes ?? ''), bodyAs)
  const { eventId, normalisedEvent } = event
  // An event without id gets its key in keyAnonymous.
  const key = eventId === null ? Buffer.alloc(0) : eventKey(envelope.env, { normalisedEvent, eventId })
  const at = Math.min(envelope.at, now)
  return { delivery, environment: envelope.env, event, body, at, eventKey: key }
}

function asTold(event: IdwiseEvent, bodyAs: BodyAs): IdwiseEvent {
  if (bodyAs === 'none') return { ...event, json: null, details: null, finalWithoutManual: false }
  return bodyAs === 'sent' || event.json === null ? event : { ...event, json: rewritten(event.json) }
}

export function bodySha256({ body }: EventRow): Buffer {
  return sha256(body.text ?? body.bytes ?? '')
}

export function bytesOf({ body }: EventRow): Buffer {
  return body.bytes ?? Buffer.from(body.text)
}
