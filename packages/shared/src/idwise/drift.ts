import { type EventKind, kindOfName } from './event.ts'
import { isObject, property, readJson } from './json.ts'
import { ENCODINGS, FIELDS, type Fields, typeOf } from './registry.ts'

export const DRIFT_KINDS = ['event', 'field', 'value', 'type', 'encoding', 'unreadable'] as const

/**
 * - `event`: an unknown name, as `value`;
 * - `field`: an unknown field at `path`; its value is not kept;
 * - `value`: a text at `path` that is not in the list of this field;
 * - `type`: another JSON type at `path`;
 * - `encoding`: a Content-Encoding that nobody decodes;
 * - `unreadable`: too many events without a name or a body.
 */
export type DriftKind = (typeof DRIFT_KINDS)[number]

/** How an event differs from the registry. `path` and `value` hold no ids, and no text of a field that may be free. */
export type Drift = { readonly kind: DriftKind; readonly path: string; readonly value: string }

/** No more of one event: a sender that sends something else altogether is found by its first fields. */
const MOST = 20
/** Too long or with too many digits: an id, or free text. */
const MAX_KEY = 48
const MAX_VALUE = 60
const MAX_DIGITS = 5

/**
 * Compares an event with the registry. Never throws.
 *
 * @param contentEncoding the header of its request
 * @returns `isReadable`: it has a name and a body
 */
export function findDrift(
  raw: Buffer,
  contentEncoding?: string,
): { readonly kind: EventKind; readonly isReadable: boolean; readonly drifts: readonly Drift[] } {
  const drifts = new Map<string, Drift>()
  function add(kind: DriftKind, path: string, value = ''): void {
    if (drifts.size < MOST) drifts.set(`${kind} ${path} ${value}`, { kind, path, value })
  }
  for (const encoding of encodingsIn(contentEncoding)) add('encoding', 'Content-Encoding', codeOf(encoding))

  const document = readJson(raw)?.value
  const name = property(document, 'event')
  const body = bodyOf(document)
  if (!isObject(document) || typeof name !== 'string' || name === '' || !body) {
    return { kind: 'unrecognised', isReadable: false, drifts: [...drifts.values()] }
  }
  for (const key of Object.keys(document)) {
    if (key !== 'event' && key !== 'body') add('field', keyOf(key))
  }
  if (typeof document.body === 'string') add('type', 'body', 'text instead of object')
  const kind = kindOfName(name)
  if (kind === undefined) add('event', 'event', codeOf(name))
  else compare(body, FIELDS.get(kind) ?? {}, 'body', add)
  return { kind: kind ?? 'unrecognised', isReadable: true, drifts: [...drifts.values()] }
}

type Add = (kind: DriftKind, path: string, value?: string) => void

function compare(object: Record<string, unknown>, fields: Fields, path: string, add: Add): void {
  for (const [key, value] of Object.entries(object)) {
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined
    const place = `${path}.${keyOf(key)}`
    if (!field) {
      add('field', place)
      continue
    }
    const type = typeOf(value)
    if (!field.types.includes(type)) add('type', place, `${type} instead of ${field.types.join(' or ')}`)
    else if (typeof value === 'string' && field.values && !field.values.has(value)) {
      add('value', place, codeOf(value))
    }
    if (!field.fields) continue
    if (isObject(value)) compare(value, field.fields, place, add)
    if (Array.isArray(value)) compareItems(value, field.fields, `${place}[]`, add)
  }
}

function compareItems(items: readonly unknown[], fields: Fields, path: string, add: Add): void {
  for (const item of items) {
    if (isObject(item)) compare(item, fields, path, add)
    else add('type', path, `${typeOf(item)} instead of object`)
  }
}

/** The `body` object, also one that was sent as a JSON string. */
function bodyOf(document: unknown): Record<string, unknown> | undefined {
  const inner = property(document, 'body')
  const body = typeof inner === 'string' ? readJson(inner)?.value : inner
  return isObject(body) ? body : undefined
}

function encodingsIn(header = ''): string[] {
  return header
    .split(',')
    .map((encoding) => encoding.trim().toLowerCase())
    .filter((encoding) => !ENCODINGS.has(encoding))
}

/** A name of a field; `*` for a key that may be an id. */
function keyOf(key: string): string {
  return key.length <= MAX_KEY && /^[A-Za-z_$][\w$-]*$/.test(key) && digitsIn(key) <= MAX_DIGITS ? key : '*'
}

/** A word of a closed set; `*` for a text that looks like none. */
function codeOf(text: string): string {
  const isCode = text.length <= MAX_VALUE && /^\p{L}[\p{L}\p{N} _./-]*$/u.test(text)
  return isCode && digitsIn(text) <= MAX_DIGITS ? text : '*'
}

const digitsIn = (text: string) => text.match(/\d/g)?.length ?? 0
