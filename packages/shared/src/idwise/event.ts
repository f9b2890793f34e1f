import { hash } from 'node:crypto'
import { cleaned, cleanText, isObject, numbersAsSent, property, readJson } from './json.ts'
import { toJsonb } from './jsonb.ts'

/** Every event type that IDWise documents, current and older, by its normalised name ("IDWise Webhook Types"). */
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

type KnownKind = typeof KINDS extends Map<string, infer Kind> ? Kind : never
export type EventKind = KnownKind | 'unrecognised'

/** `AML Monitor Update` is spelt this way in the text of its own page. */
const MISSPELT = new Map([['aml monior update', 'aml monitor update']])

/**
 * What one webhook says. Everything but `kind` may be missing: shapes have changed over the years and may change
 * again. Texts are fit for PostgreSQL and shortened to what a column and its index hold, ids so that they
 * stay distinct; the raw bytes are the truth.
 */
export type IdwiseEvent = {
  readonly kind: EventKind
  /** The name as received. */
  readonly event: string | null
  /** The name as compared: trimmed, blanks joined, case folded, known misspellings mapped. Empty where there is none. */
  readonly normalisedEvent: string
  /** Unique per event and the same on every redelivery; null where it is missing or not 1 to 256 well-formed bytes. */
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly referenceNo: string | null
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  readonly finalDecision: string | null
  /** It has a final decision and no manual one at all, not even null: the oldest shape. */
  readonly finalWithoutManual: boolean
  /** What only some event types carry, under the sender's own names; null where there is nothing. */
  readonly details: EventDetails | null
  /** The whole document as text for a `jsonb` column; null where the body is not JSON. */
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
const MAX_TEXT = 500
const HASH_DIGITS = 64
const MAX_NAME = 200

/** What ingest needs to know of an event. */
export type EventNames = Pick<IdwiseEvent, 'normalisedEvent' | 'eventId' | 'journeyId'>

/** Reads what names the event, and nothing else. Never throws. */
export function parseNames(raw: Buffer | string): EventNames {
  const document = readJson(raw)
  return document ? namesIn(document, bodyOf(document)) : UNREADABLE
}

/** Reads any bytes, or the text that they are, as an IDWise event. Never throws: what cannot be read is `unrecognised`. */
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
    kind: (body && (KINDS as Map<string, KnownKind>).get(names.normalisedEvent)) ?? 'unrecognised',
    event: typeof name === 'string' ? cleanText(name.slice(0, MAX_NAME)) : null,
    referenceNo: body?.id('referenceNo') ?? null,
    systemDecision: body?.text('systemDecision') ?? null,
    manualDecision,
    finalDecision,
    finalWithoutManual: finalDecision !== null && manualDecision === null && hasNoManualDecision(document),
    details: body ? detailsOf(body) : null,
    json: toJsonb(document.text),
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

export function normaliseName(name: string): string {
  return USUAL_NAMES.get(name) ?? normalise(name)
}

function normalise(name: string): string {
  if (!name.isWellFormed()) return ''
  const folded = name.trim().replace(/\s+/g, ' ').toLowerCase()
  return MISSPELT.get(folded) ?? folded
}

/** The names as IDWise writes them, which need no second look. */
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
  /** Text, or a number as the text that was sent; null for missing, null, empty and anything else. */
  text(key: string): string | null
  /** Likewise, for what names something: two that differ stay different, however long they are. */
  id(key: string): string | null
  digits(key: string): string | null
}

/** The `body` object; a body that was sent as a JSON string is read once more. */
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

/** An id as it is stored: one that is too long is cut, and ends in the SHA-256 of the whole. */
export function storedId(id: string): string {
  if (id.length <= MAX_TEXT) return cleanText(id)
  // UTF-16 tells apart what is no valid UTF-8.
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

/** An integer, also one written as digits or, as on the vendor's own page, as `**1**`. */
function integer(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(/^\s*\**(\d{1,15})\**\s*$/.exec(value)?.[1]) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
}
