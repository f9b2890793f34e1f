import { hash } from 'node:crypto'
import type { IdwiseEvent } from './event.ts'
import { REDELIVERY_WINDOW_MS } from './schedule.ts'

/** A body without event id is the same event if it comes again so soon after it was first received. */
export const ANONYMOUS_WINDOW_MS = REDELIVERY_WINDOW_MS

/** Makes a string first, since a hash as buffer costs Node.js twice as much. */
export function sha256(bytes: Buffer | string): Buffer {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1')
}

/**
 * Two deliveries with the same key are the same event. The key is the SHA-256 over environment, normalised name and
 * event id, each after its length, so that two different triples never give the same bytes.
 */
export function eventKey(environment: string, event: { normalisedEvent: string; eventId: string }): Buffer {
  return keyOver(environment, event.normalisedEvent, event.eventId)
}

/** The key of an event without id, from its body and the time when it was first received (ms since 1970). */
export function anonymousEventKey(environment: string, bodySha256: Buffer, firstReceivedMs: number): Buffer {
  return keyOver(environment, bodySha256, String(firstReceivedMs))
}

/** The ids of one delivery before it is stored. */
export type Identity = {
  /**
   * The same for every delivery of one body of one event with an id. The raw event id would collide with BullMQ's own
   * keys, and without the body's hash BullMQ would silently drop another body under the same event id.
   */
  readonly jobId: string
  /** Hex; null for an event without id: PostgreSQL decides its key when it lands. */
  readonly eventKey: string | null
  /** Hex. */
  readonly bodySha256: string
}

/** How often one body of one event was delivered again while its job was in the queue. */
export type Redeliveries = Pick<Identity, 'eventKey' | 'bodySha256'> & {
  readonly environment: string
  readonly count: number
}

export function identify(
  environment: string,
  raw: Buffer,
  { normalisedEvent, eventId }: Pick<IdwiseEvent, 'normalisedEvent' | 'eventId'>,
  receivedAtMs: number,
): Identity {
  const body = sha256(raw)
  const key =
    eventId === null
      ? // As if it were received for the first time: only PostgreSQL knows better.
        anonymousEventKey(environment, body, receivedAtMs)
      : eventKey(environment, { normalisedEvent, eventId })
  return {
    jobId: `e-${sha256(Buffer.concat([key, body])).toString('hex')}`,
    eventKey: eventId === null ? null : key.toString('hex'),
    bodySha256: body.toString('hex'),
  }
}

/** Hashes all parts at once: each update of a running hash costs more than a copy of so few bytes. */
function keyOver(...parts: (string | Buffer)[]): Buffer {
  // A code unit of UTF-16 takes at most three bytes of UTF-8.
  const all = Buffer.allocUnsafe(parts.reduce((size, part) => size + 4 + 3 * part.length, 0))
  let at = 0
  for (const part of parts) {
    const length = typeof part === 'string' ? all.write(part, at + 4) : part.copy(all, at + 4)
    all.writeUInt32BE(length, at)
    at += 4 + length
  }
  return sha256(all.subarray(0, at))
}
