import { parseJson, rawBytes, readEnvelope } from '../envelope.ts'
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
  readonly contentType: string | undefined
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
  return { environment, event, eventKey: key, raw, receivedAt: new Date(at), contentType: read.type }
}
