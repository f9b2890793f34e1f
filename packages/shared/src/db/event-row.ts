import { type Envelope, rawBytes } from '../envelope.ts'
import { type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import { eventKey, sha256 } from '../idwise/identity.ts'
import { rewritten, toJsonb } from './jsonb.ts'

/** A job that a worker has claimed from the queue or the inbox. */
export type Job = {
  readonly jobId: string
  readonly envelope: Envelope
  readonly via: 'redis' | 'inbox'
  /** Further deliveries of the same bytes, which were counted while this one waited. */
  readonly duplicates: number
  /** The dead letter that this job replays. */
  readonly replayOf: number | null
}

/** A job whose body has been read, about to become a row of `events`. */
export type EventRow = {
  readonly job: Job
  readonly environment: string
  readonly event: IdwiseEvent
  /** The document as text for `jsonb`; null if the body is no JSON, or is stored as bytes alone. */
  readonly json: string | null
  /** The body as text, of which PostgreSQL makes the bytes, or as bytes. */
  readonly body:
    | { readonly text: string; readonly bytes: null }
    | { readonly text: null; readonly bytes: Buffer }
  /** When it was received, ms since 1970: by the ingest's clock, or by Postgres' if the ingest's is ahead of it. */
  readonly at: number
  eventKey: Buffer
}

/**
 * How the document of a body is stored: as it was sent, if `jsonb` takes it; as JavaScript writes it; or not at all,
 * and the `details`, which are the sender's JSON too, neither. The bytes are always stored.
 */
export type BodyAs = 'sent' | 'rewritten' | 'none'

/** @param now Postgres' clock, ms since 1970 */
export function readJob(job: Job, bodyAs: BodyAs, now: number): EventRow {
  const { envelope } = job
  const { raw } = envelope
  const isText = raw !== undefined && bodyAs === 'sent' && !raw.includes('\0')
  const body = isText ? { text: raw, bytes: null } : { text: null, bytes: rawBytes(envelope) }
  const parsed = parseEvent(body.text ?? body.bytes ?? '')
  const event = bodyAs === 'none' ? { ...parsed, details: null, finalWithoutManual: false } : parsed
  const { eventId, normalisedEvent } = event
  // An event without id gets its key in keyAnonymous.
  const key = eventId === null ? Buffer.alloc(0) : eventKey(envelope.env, { normalisedEvent, eventId })
  const at = Math.min(envelope.at, now)
  return { job, environment: envelope.env, event, json: jsonOf(parsed, bodyAs), body, at, eventKey: key }
}

function jsonOf({ json }: IdwiseEvent, bodyAs: BodyAs): string | null {
  if (json === null || bodyAs === 'none') return null
  return bodyAs === 'sent' ? toJsonb(json) : rewritten(toJsonb(json))
}

export function bodySha256({ body }: EventRow): Buffer {
  return sha256(body.text ?? body.bytes ?? '')
}

export function bytesOf({ body }: EventRow): Buffer {
  return body.bytes ?? Buffer.from(body.text)
}
