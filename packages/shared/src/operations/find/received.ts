import { type DeadLetter, type Enclosed, readEnclosed, type WholeEvent } from '../../db/index.ts'
import { curlLine } from './curl-line.ts'

/** An event as it was received: one that has landed, waits, or is in a dead letter. */
export type ReceivedEvent = Pick<
  WholeEvent,
  | 'eventKey'
  | 'environment'
  | 'event'
  | 'kind'
  | 'eventId'
  | 'journeyId'
  | 'referenceNo'
  | 'systemDecision'
  | 'manualDecision'
  | 'finalDecision'
  | 'details'
  | 'receivedAt'
  | 'raw'
  | 'request'
> &
  Partial<WholeEvent>

export function receivedIn({ event, eventKey, ...enclosed }: Enclosed): ReceivedEvent {
  const { json: _json, normalisedEvent: _name, finalWithoutManual: _is, ...read } = event
  return { ...read, ...enclosed, eventKey: eventKey.toString('hex') }
}

/** @returns null if its envelope cannot be read: then it is not known which event it is */
export function receivedInLetter({ envelope }: Pick<DeadLetter, 'envelope'>): ReceivedEvent | null {
  const enclosed = readEnclosed(envelope)
  return enclosed ? receivedIn(enclosed) : null
}

/** A line for a shell that sends the bytes of a dead letter again. */
export function curlOfLetter(letter: Pick<DeadLetter, 'envelope' | 'environment' | 'raw'>): string {
  const { request } = receivedInLetter(letter) ?? {}
  return curlLine(letter.raw, letter.environment ?? 'live', request?.contentType)
}
