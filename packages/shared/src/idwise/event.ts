import { hash } from 'node:crypto'
import { cleaned, cleanText, isObject, numbersAsSent, property, readJson } from './json.ts'

/** All event types that IDWise documents, current and older, by normalised name ("IDWise Webhook Types"). */
const KINDS = new Map([
  ['finished step', 'finished_step'],
  ['finished user steps', 'finished_user_steps'],
  ['finished journey', 'finished_journey'],
  ['updated journey', 'updated_journey'],
  ['verification update required', 'verification_update_required'],
  ['kyc renewal deadline exceeded', 'kyc_renewal_deadline_exceeded'],
  ['aml monitor update', 'aml_monitor_update'],
  ['finished spot check', 'finished_spot_check'],
  ['manually reviewed', 'manually_reviewed'],
  ['finished ongoing check', 'finished_ongoing_check'],
  ['step submitted', 'step_submitted'],
] as const)

/** The normalised names of the known event types. */
export const KNOWN_NAMES: readonly string[] = [...KINDS.keys()]

type KnownKind = typeof KINDS extends Map<string, infer Kind> ? Kind : never
export type EventKind = KnownKind | 'unrecognised'
export const EVENT_KINDS: readonly EventKind[] = [...KINDS.values(), 'unrecognised']

/** @returns undefined if no page has an event of this name */
export function kindOfName(name: string): KnownKind | undefined {
  return (KINDS as Map<string, KnownKind>).get(normaliseName(name))
}

/** The page of `AML Monitor Update` itself spells it this way. */
const MISSPELT = new Map([['aml monior update', 'aml monitor update']])

/**
 * The content of one webhook. Every field but `kind` may be missing: shapes have changed over the years and may change
 * again. Texts are made fit for PostgreSQL, and shortened so that a column and its index hold them. Shortened ids stay
 * distinct. The raw bytes are stored as well.
 */
export type IdwiseEvent = {
  readonly kind: EventKind
  /** The name as received. */
  readonly event: string | null
  /** The name for comparisons: trimmed, blanks joined, lower case, known misspellings corrected. Empty if missing. */
  readonly normalisedEvent: string
  /** Unique for the event and the same in every redelivery; null if it is missing or not 1 to 256 well-formed bytes. */
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly referenceNo: string | null
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  readonly finalDecision: string | null
  /** The oldest shape: it has a final decision, and no manual decision, not even null. */
  readonly finalWithoutManual: boolean
  /** Fields that only some event types have, under the sender's names; null if there are none. */
  readonly details: EventDetails | null
  /** The document as text, decoded, without byte order mark; null if the body is no JSON. */
  readonly json: string | null
}

export type EventDetails = {
  readonly stepId?: string
  readonly stepType?: string
  readonly action?: string
  readonly trigger?: string
  readonly previousSystemDecision?: string
  readonly updatedAMLVersionNumber?: number
  readonly spotCheckJourneyId?: string
  readonly ongoingCheckId?: string
  readonly requiredSteps?: readonly unknown[]
}

const MAX_ID_BYTES = 256
/** The most characters of a text that is stored in a column. */
export const MAX_TEXT = 500
const HASH_DIGITS = 64
const MAX_NAME = 200

/** The part of an event that the ingest needs. */
type EventNames = Pick<IdwiseEvent, 'kind' | 'normalisedEvent' | 'eventId' | 'journeyId'>

/** Reads only the names and ids of an event. Never throws. */
export function parseNames(raw: Buffer | string): EventNames {
  const document = readJson(raw)
  return document ? namesIn(document, bodyOf(document)) : UNREADABLE
}

/** Reads any bytes, or their text, as an event. Never throws: a body that cannot be read is `unrecognised`. */
export function parseEvent(raw: Buffer | string): IdwiseEvent {
  const document = readJson(raw)
  if (!document) return UNREADABLE
  const name = property(document.value, 'event')
  const body = bodyOf(document)
  const names = namesIn(document, body)
  const manualDecision = body?.text('manualDecision') ?? null
  const finalDecision = body?.text('finalDecision') ?? null
  return {
    ...names,
    event: typeof name === 'string' ? cleanText(name.slice(0, MAX_NAME)) : null,
    referenceNo: body?.id('referenceNo') ?? null,
    systemDecision: body?.text('systemDecision') ?? null,
    manualDecision,
    finalDecision,
    finalWithoutManual: finalDecision !== null && manualDecision === null && hasNoManualDecision(document),
    details: body ? detailsOf(body) : null,
    json: document.text,
  }
}

function hasNoManualDecision({ value }: Document): boolean {
  const inner = property(value, 'body')
  return isObject(inner) && !Object.hasOwn(inner, 'manualDecision')
}

function namesIn(document: Document, body: Body | undefined): EventNames {
  const name = property(document.value, 'event')
  const normalisedEvent = typeof name === 'string' ? normaliseName(name) : ''
  return {
    kind: (body && (KINDS as Map<string, KnownKind>).get(normalisedEvent)) ?? 'unrecognised',
    normalisedEvent,
    eventId: body && normalisedEvent ? eventIdOf(body) : null,
    journeyId: body?.id('journeyId') ?? null,
  }
}

const UNREADABLE: IdwiseEvent = {
  kind: 'unrecognised',
  event: null,
  normalisedEvent: '',
  eventId: null,
  journeyId: null,
  referenceNo: null,
  systemDecision: null,
  manualDecision: null,
  finalDecision: null,
  finalWithoutManual: false,
  details: null,
  json: null,
}

function normaliseName(name: string): string {
  return USUAL_NAMES.get(name) ?? normalise(name)
}

function normalise(name: string): string {
  if (!name.isWellFormed()) return ''
  const folded = name.trim().replace(/\s+/g, ' ').toLowerCase()
  return MISSPELT.get(folded) ?? folded
}

/** The names as IDWise writes them, with their normalised form. */
const USUAL_NAMES = new Map(
  [...KINDS.keys()].map((name) => [
    name
      .replace(/\b(kyc|aml)\b/g, (word) => word.toUpperCase())
      .replace(/\b[a-z]/g, (letter) => letter.toUpperCase()),
    name,
  ]),
)

type Document = { text: string; value: unknown }
type Body = {
  get(key: string): unknown
  /** A text, or a number as it was sent; null if it is missing, null, empty or of another type. */
  text(key: string): string | null
  /** Like `text`, for ids: two different ids stay different even if they are shortened. */
  id(key: string): string | null
  digits(key: string): string | null
}

/** The `body` object. A body that was sent as a JSON string is parsed again. */
function bodyOf(document: Document): Body | undefined {
  const inner = property(document.value, 'body')
  if (isObject(inner)) return bodyIn(document, inner, (value) => property(value, 'body'))
  if (typeof inner !== 'string') return undefined
  const nested = readJson(inner)
  return nested && isObject(nested.value) ? bodyIn(nested, nested.value, (value) => value) : undefined
}

function bodyIn(
  document: Document,
  fields: Record<string, unknown>,
  locate: (value: unknown) => unknown,
): Body {
  let sent: ReadonlyMap<string, string> | undefined
  const get = (key: string) => property(fields, key)
  function digits(key: string): string | null {
    const value = get(key)
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) return String(value)
    sent ??= numbersAsSent(document.text, locate)
    return sent.get(key) ?? null
  }
  function whole(key: string): string | null {
    const value = get(key)
    const given = typeof value === 'number' ? digits(key) : value
    return typeof given === 'string' && given !== '' ? given : null
  }
  function text(key: string): string | null {
    const given = whole(key)
    return given && cleanText(given.slice(0, MAX_TEXT))
  }
  function id(key: string): string | null {
    const given = whole(key)
    return given && storedId(given)
  }
  return { get, text, id, digits }
}

/** An id as it is stored: an id that is too long is cut, and ends with the SHA-256 of the whole. */
export function storedId(id: string): string {
  if (id.length <= MAX_TEXT) return cleanText(id)
  // UTF-16, since two ids that are no valid UTF-8 could be the same in UTF-8.
  const digest = hash('sha256', Buffer.from(id, 'utf16le'), 'hex')
  return `${cleanText(id.slice(0, MAX_TEXT - HASH_DIGITS - 1))}~${digest}`
}

function eventIdOf(body: Body): string | null {
  const value = body.get('eventId')
  const id = typeof value === 'number' ? body.digits('eventId') : value
  if (typeof id !== 'string' || id === '' || !id.isWellFormed() || id.includes('\0')) return null
  return Buffer.byteLength(id) <= MAX_ID_BYTES ? id : null
}

const DETAIL_TEXTS = ['stepType', 'action', 'trigger', 'previousSystemDecision'] as const
const DETAIL_IDS = ['stepId', 'spotCheckJourneyId', 'ongoingCheckId'] as const

function detailsOf(body: Body): EventDetails | null {
  const details: { -readonly [Key in keyof EventDetails]: EventDetails[Key] } = {}
  for (const key of DETAIL_TEXTS) {
    const text = body.text(key)
    if (text !== null) details[key] = text
  }
  for (const key of DETAIL_IDS) {
    const id = body.id(key)
    if (id !== null) details[key] = id
  }
  const version = integer(body.get('updatedAMLVersionNumber'))
  if (version !== undefined) details.updatedAMLVersionNumber = version
  const steps = cleaned(body.get('requiredSteps'))
  if (Array.isArray(steps)) details.requiredSteps = steps
  return Object.keys(details).length > 0 ? details : null
}

/** An integer, also one that is written as text: `1`, or `**1**` as on IDWise's page. */
function integer(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(/^\s*\**(\d{1,15})\**\s*$/.exec(value)?.[1]) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
}
