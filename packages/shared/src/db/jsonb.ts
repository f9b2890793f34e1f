import { cleaned, endOfString, QUOTE } from '../idwise/json.ts'

/**
 * The most digits of PostgreSQL's `numeric` before and after the point, found by trying PostgreSQL 15 and 18: numbers
 * below 10^131072, with at most 16,383 decimals. Zeros at the end count.
 */
const NUMERIC = { before: 131_072, after: 16_383 }
/** PostgreSQL refuses exponents near 2^30 and beyond even for a zero. */
const MAX_EXPONENT = 1_000_000_000

/**
 * PostgreSQL stores `1e131071` in 22 bytes and writes all of its digits. A document with more written digits could be
 * stored but not read or dumped again: PostgreSQL's values end at 1 GB, and Node.js's strings at 512 MB.
 */
const MAX_WRITTEN = 256 * 1024 * 1024
/** The limits for such a document: no number is written longer than a double. */
const DOUBLE = { before: 309, after: 340 }

// An escape that jsonb may refuse (NUL, half of a surrogate pair), or an exponent that may lead beyond its numbers. One
// expression for both, since most documents have neither.
const SUSPICIOUS = /\\u(?:0000|[dD][89a-fA-F])|(?:^|[:,[\s])-?\d[\d.]*[eE][+-]?\d{5}/
/** A number with fewer digits in a row and an exponent of at most four digits is within `numeric`. */
const MAX_DIGITS = NUMERIC.after - 9_999

/**
 * The document as text that PostgreSQL's `jsonb` takes. That is the text as sent, unless `jsonb` refuses a part of it.
 * Then only that part is replaced: a NUL or half of a surrogate pair by U+FFFD, a number that is too large by null.
 * Decimals beyond the limit are cut off. The exact bytes are in another column.
 *
 * @param text valid JSON, without a byte order mark
 */
export function toJsonb(text: string): string {
  const isSuspicious = SUSPICIOUS.test(text) || (text.length > MAX_DIGITS && hasLongNumber(text))
  return isSuspicious ? fitNumbers(fitEscapes(text)) : text
}

/** A text for `jsonb` as JavaScript writes it: its numbers are doubles. */
export function rewritten(json: string): string {
  return JSON.stringify(cleaned(JSON.parse(json)))
}

/** A loop, since a regular expression for so many digits takes quadratic time. */
function hasLongNumber(text: string): boolean {
  let run = 0
  for (let i = 0; i < text.length; i++) {
    run = isDigit(text.charCodeAt(i)) ? run + 1 : 0
    if (run > MAX_DIGITS) return true
  }
  return false
}

// Each backslash with what it escapes, so that an escaped backslash begins no escape. In this order: a whole
// surrogate pair, a refused escape, any other.
const ESCAPE = /\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u0000|u[dD][89a-fA-F]..|.)/g
const REFUSED_LENGTH = String.raw`\u0000`.length

function fitEscapes(text: string): string {
  return text.replace(ESCAPE, (match) => (match.length === REFUSED_LENGTH ? String.raw`\ufffd` : match))
}

function fitNumbers(text: string): string {
  const fitted = fitTo(NUMERIC, text)
  return fitted.written > MAX_WRITTEN ? fitTo(DOUBLE, text).text : fitted.text
}

const MINUS = 0x2d
const NUMBER = /(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?/y

/** @returns `written`: how many digits PostgreSQL writes for all numbers together */
function fitTo(limits: typeof NUMERIC, text: string): { text: string; written: number } {
  let fitted = ''
  let copied = 0
  let written = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) i = endOfString(text, i)
    if (code !== MINUS && !isDigit(code)) continue
    NUMBER.lastIndex = i
    const [number = '', sign = '', whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? []
    const fit = fitNumber(
      { number, sign, digits: whole + fraction, scale: fraction.length - Number(exponent) },
      limits,
    )
    written += fit.written
    if (fit.text !== number) {
      fitted += text.slice(copied, i) + fit.text
      copied = i + number.length
    }
    i += number.length - 1
  }
  return { text: fitted + text.slice(copied), written }
}

/** @param given.scale how many of the digits are after the point; below zero: how many zeros follow the digits */
function fitNumber(
  { number, sign, digits, scale }: { number: string; sign: string; digits: string; scale: number },
  limits: typeof NUMERIC,
): { text: string; written: number } {
  const leading = digits.search(/[1-9]/)
  const isTooFine = scale > limits.after
  if (leading === -1) {
    const isBeyond = isTooFine || scale < -MAX_EXPONENT
    return isBeyond ? ZERO : { text: number, written: 1 + Math.max(scale, 0) }
  }
  const before = digits.length - leading - scale
  if (before > limits.before) return { text: 'null', written: 0 }
  if (!isTooFine) return { text: number, written: Math.max(before, 1) + Math.max(scale, 0) }
  const kept = digits.slice(leading, Math.max(digits.length - (scale - limits.after), 0))
  return kept === ''
    ? ZERO
    : { text: `${sign}${kept}e-${limits.after}`, written: Math.max(before, 1) + limits.after }
}

const ZERO = { text: '0', written: 1 }

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}
