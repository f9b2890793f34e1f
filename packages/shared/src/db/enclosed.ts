import { type Envelope, parseJson, rawBytes, readEnvelope } from '../envelope.ts'
import { type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import { anonymousEventKey, eventKey, sha256 } from '../idwise/identity.ts'

/** The event in an envelope. */
export type Enclosed = {
  readonly environment: string
  readonly event: IdwiseEvent
  readonly eventKey: Buffer
  /** The body's bytes. */
  readonly raw: Buffer
  /** When it was received, by the ingest's clock. */
  readonly receivedAt: Date
  /** What is known of the request besides its body; null if that is nothing. */
  readonly request: Readonly<Record<string, unknown>> | null
}

/** @returns undefined if the text is no envelope of a version that this build knows */
export function readEnclosed(envelope: string): Enclosed | undefined {
  const read = readEnvelope(parseJson(envelope))
  if (!read) return undefined
  const { env: environment, at } = read
  const raw = rawBytes(read)
  const event = parseEvent(raw)
  const { eventId } = event
  const key =
    eventId === null
      ? anonymousEventKey(environment, sha256(raw), at)
      : eventKey(environment, { ...event, eventId })
  return { environment, event, eventKey: key, raw, receivedAt: new Date(at), request: known(requestOf(read)) }
}

/** What is kept of the request besides its body, under the names that `events.request` has. */
export function requestOf({ ip, type, encoding, agent, trace }: Envelope) {
  return {
    sourceAddress: ip,
    contentType: type,
    contentEncoding: encoding,
    userAgent: agent,
    traceparent: trace,
  }
}

function known(request: Readonly<Record<string, unknown>>): Enclosed['request'] {
  const entries = Object.entries(request).filter(([, value]) => value !== undefined)
  return entries.length === 0 ? null : Object.fromEntries(entries)
}
