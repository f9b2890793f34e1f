import { textOf } from './decode.ts'

/** Deeper documents are kept but not read: 5,000 nested arrays parse and then overflow the stack elsewhere. */
const MAX_DEPTH = 64

const BOM = 0xfeff
export const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Reads bytes, or the text that they are, as JSON, whatever they are labelled; a gzip body is decoded first.
 *
 * @returns `text` without a byte order mark and the parsed `value`; undefined where the bytes are not valid UTF-8,
 * not JSON, or nested deeper than 64 levels. Never throws.
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

/** Counts brackets outside strings, so that JSON.parse never sees a document that is too deep. */
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

/** Where the string ends that begins here: at its closing quote, or behind the text. */
export function endOfString(text: string, start: number): number {
  let at = start + 1
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH) at++
  }
  return at
}

/** An own property of a JSON object; undefined for anything that is not one. Safe with a key such as `__proto__`. */
export function property(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * The numbers of one object as they were sent: JSON.parse rounds integers above 2^53, which would give two events one
 * id. Reads the document once more, so call it only where a number is not a plain integer.
 *
 * @param locate finds the object in the new reading
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

/** The value with every text in it, keys included, fit for PostgreSQL. */
export function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleaned)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [cleanText(key), cleaned(inner)]))
}

/** Text that PostgreSQL's `text` takes: well-formed, without NUL. */
export function cleanText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}
