import { type Envelope, type Environment, rawBytes } from '../idwise/envelope.ts'
import { type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import { eventKey, sha256 } from '../idwise/identity.ts'

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
  delivery: Delivery
  environment: Environment
  event: IdwiseEvent
  raw: Buffer
  bodySha256: Buffer
  eventKey: Buffer
}

/** @param withoutBody leaves the columns empty that hold JSON of the sender's */
export function readDelivery(delivery: Delivery, withoutBody: boolean): EventRow {
  const raw = rawBytes(delivery.envelope)
  const parsed = parseEvent(raw)
  const event = withoutBody ? { ...parsed, json: null, details: null } : parsed
  const environment = delivery.envelope.env
  const bodySha256 = sha256(raw)
  const { eventId, normalisedEvent } = event
  // An event without id gets its key in keyAnonymous.
  const key = eventId === null ? Buffer.alloc(0) : eventKey(environment, { normalisedEvent, eventId })
  return { delivery, environment, event, raw, bodySha256, eventKey: key }
}
