import { hash } from 'node:crypto'

/**
 * The facts of a body that identity and the journey model need. This code follows the documentation of IDWise and is
 * independent of the receiver's parser, so that a mistake in either is found.
 */
export type Facts = {
  /** Normalised; empty if there is no name. */
  readonly name: string
  /** Whether there is a `body` with fields. */
  readonly hasBody: boolean
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly referenceNo: string | null
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  /** Whether there is a `manualDecision`, even null. The oldest shape has none. */
  readonly hasManualDecision: boolean
  readonly finalDecision: string | null
  readonly action: string | null
  readonly trigger: string | null
  readonly amlVersion: number | null
}

export function readFacts(text: string): Facts {
  const document = objectIn(text)
  const body = asObject(document.body)
  const name = typeof document.event === 'string' ? normalise(document.event) : ''
  const version = Number(body.updatedAMLVersionNumber ?? Number.NaN)
  return {
    name,
    hasBody: document.body === body,
    eventId: name === '' ? null : textIn(body.eventId),
    journeyId: textIn(body.journeyId),
    referenceNo: textIn(body.referenceNo),
    systemDecision: textIn(body.systemDecision),
    manualDecision: textIn(body.manualDecision),
    hasManualDecision: 'manualDecision' in body,
    finalDecision: textIn(body.finalDecision),
    action: textIn(body.action),
    trigger: textIn(body.trigger),
    amlVersion: Number.isInteger(version) ? version : null,
  }
}

/** Trims a name, joins blanks, makes it lower case and corrects the known misspelling. */
export function normalise(name: string): string {
  const plain = name.trim().split(/\s+/).join(' ').toLowerCase()
  return plain === 'aml monior update' ? 'aml monitor update' : plain
}

/**
 * Two deliveries with the same identity are one event. It has environment, name and event id. If there is no event id,
 * it has environment and body, and holds for 60 minutes only.
 */
export function identityOf(
  environment: string,
  name: string,
  eventId: string | null,
  sha256: string,
): string {
  return eventId === null ? `${environment} ${sha256}` : `${environment} ${name}\n${eventId}`
}

/** A hash of a JSON document that does not depend on its spelling, hex; null if the text is not JSON, or `null`. */
export function documentSum(text: string): string | null {
  try {
    return sumOf(JSON.parse(text))
  } catch {
    return null
  }
}

export function sumOf(value: unknown): string | null {
  if (value === null || value === undefined) return null
  const sorted = (_key: string, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner
  return hash('sha256', JSON.stringify(value, sorted))
}

function objectIn(text: string): Record<string, unknown> {
  try {
    return asObject(JSON.parse(text))
  } catch {
    return {}
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** The text of a field; null if it is missing, null or empty. A number becomes its digits. */
function textIn(value: unknown): string | null {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : null
}
