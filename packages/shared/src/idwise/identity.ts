import { hash } from 'node:crypto'
import type { Environment } from '../envelope.ts'
import type { IdwiseEvent } from './event.ts'

/** A body without event id is the same event when it comes again within this span of its first arrival. */
export const ANONYMOUS_WINDOW_MS = 60 * 60 * 1000

/** By way of a string, since a buffer costs Node twice as much. */
export function sha256(bytes: Buffer | string): Buffer {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1')
}

/**
 * What makes an event the same event: SHA-256 over environment, normalised name and event id, each preceded by its
 * length, so that no two different triples give the same bytes.
 */
export function eventKey(
  environment: Environment,
  event: { normalisedEvent: string; eventId: string },
): Buffer {
  return keyOver(environment, event.normalisedEvent, event.eventId)
}

/** The key of an event that carries no id: its body and the time of its first arrival (ms since 1970) stand for it. */
export function anonymousEventKey(
  environment: Environment,
  bodySha256: Buffer,
  firstArrivalMs: number,
): Buffer {
  return keyOver(environment, bodySha256, String(firstArrivalMs))
}

/** The names of one arrival, before it is stored. */
export type Identity = {
  /**
   * The same for every delivery of one body of one event with an id. A raw event id would collide with BullMQ's own keys, and
   * without the body's hash BullMQ would drop another body under the same event id in silence.
   */
  readonly jobId: string
  /** Hex; null for an event without id, whose key PostgreSQL decides when it lands. */
  readonly eventKey: string | null
  /** Hex. */
  readonly bodySha256: string
}

export function identify(
  environment: Environment,
  raw: Buffer,
  { normalisedEvent, eventId }: Pick<IdwiseEvent, 'normalisedEvent' | 'eventId'>,
  receivedAtMs: number,
): Identity {
  const body = sha256(raw)
  const key =
    eventId === null
      ? // As if it were the first arrival, which only PostgreSQL knows: there they meet.
        anonymousEventKey(environment, body, receivedAtMs)
      : eventKey(environment, { normalisedEvent, eventId })
  return {
    jobId: `e-${sha256(Buffer.concat([key, body])).toString('hex')}`,
    eventKey: eventId === null ? null : key.toString('hex'),
    bodySha256: body.toString('hex'),
  }
}

/** Hashed in one go: each update of a running hash costs more than copying so few bytes. */
function keyOver(...parts: (string | Buffer)[]): Buffer {
  // No character of UTF-16 takes more than three bytes of UTF-8.
  const all = Buffer.allocUnsafe(parts.reduce((size, part) => size + 4 + 3 * part.length, 0))
  let at = 0
  for (const part of parts) {
    const length = typeof part === 'string' ? all.write(part, at + 4) : part.copy(all, at + 4)
    all.writeUInt32BE(length, at)
    at += 4 + length
  }
  return sha256(all.subarray(0, at))
}
