import { textOf } from './decode.ts'

/** Deeper documents are stored but not read: JSON.parse takes 5,000 nested arrays, but later code does not. */
const MAX_DEPTH = 64

const BOM = 0xfeff
export const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Reads bytes, or their text, as JSON. Their label does not matter, and a gzip body is decoded first.
 *
 * @returns `text` without a byte order mark and the parsed `value`; undefined if the bytes are no valid UTF-8, no JSON,
 * or nested deeper than 64 levels. Never throws.
 */
export function readJson(raw: Buffer | string): { text: string; value: unknown } | undefined {
  const decoded = typeof raw === 'string' ? raw : textOf(raw)
  if (decoded === undefined || isTooDeep(decoded)) return undefined
  const text = decoded.charCodeAt(0) === BOM ? decoded.slice(1) : decoded
  try {
    return { text, value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** Counts brackets outside strings, so that JSON.parse never gets a document that is too deep. */
function isTooDeep(text: string): boolean {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) i = endOfString(text, i)
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > MAX_DEPTH) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}

/** The place of the closing quote of the string that begins at `start`; after the text if there is none. */
export function endOfString(text: string, start: number): number {
  let at = start + 1
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH) at++
  }
  return at
}

/** An own property of a JSON object; undefined if the value is no object. Safe with a key such as `__proto__`. */
export function property(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * The numbers of one object as they were sent: JSON.parse rounds integers above 2^53, so two events could get the same
 * id. It parses the document once more, so call it only if a number is no plain integer.
 *
 * @param locate finds the object in the document that is parsed again
 */
export function numbersAsSent(
  text: string,
  locate: (value: unknown) => unknown,
): ReadonlyMap<string, string> {
  const sent = new WeakMap<object, Map<string, string>>()
  const value = JSON.parse(text, function (this: object, name, value, context?: { source?: string }) {
    if (typeof value === 'number' && context?.source && !Array.isArray(this)) {
      const numbers = sent.get(this) ?? new Map<string, string>()
      sent.set(this, numbers.set(name, context.source))
    }
    return value
  })
  const holder = locate(value)
  return (isObject(holder) && sent.get(holder)) || new Map()
}

/** The value with each text in it, keys too, as `cleanText` makes it. */
export function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleaned)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [cleanText(key), cleaned(inner)]))
}

/**
 * Text that PostgreSQL's `text` takes: well-formed, without NUL. It is done here, not where rows are written, since an
 * event must be the same whether it has just been parsed or is read from its row.
 */
export function cleanText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}
