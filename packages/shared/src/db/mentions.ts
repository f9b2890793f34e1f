import { gunzipSync } from 'node:zlib'
import { isGzip } from '../idwise/decode.ts'

/** Text within text within text: an envelope holds a body as base64, which is gzip, which holds JSON as a string. */
const MAX_DEPTH = 6
/** Compressed bytes say nothing about their size. */
const MAX_UNPACKED = 64 * 1024 * 1024
/** Shorter ones are words. */
const BASE64 = /[A-Za-z0-9+/_-]{24,}={0,2}/g
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|(.))/g

/**
 * Whether bytes that cannot be read as an event contain any of these names as a word: as they are, in JSON's escapes,
 * compressed, or as base64.
 */
export function mentions(bytes: Buffer, names: readonly string[], depth = 0): boolean {
  if (depth > MAX_DEPTH) return false
  const within = (inner: Buffer) => mentions(inner, names, depth + 1)
  if (isGzip(bytes)) return within(unpacked(bytes))
  const text = bytes.toString('utf8')
  if (names.some((name) => hasWord(text, name))) return true
  const unescaped = text.replace(ESCAPE, (_, code, character) =>
    code === undefined ? character : String.fromCharCode(Number.parseInt(code, 16)),
  )
  if (unescaped !== text && within(Buffer.from(unescaped))) return true
  return (text.match(BASE64) ?? []).some((word) => {
    const decoded = Buffer.from(word, 'base64')
    return isGzip(decoded) || isReadable(decoded) ? within(decoded) : false
  })
}

/** As much as can be unpacked: the end may be missing. */
function unpacked(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED, finishFlush: 2 })
  } catch {
    return Buffer.alloc(0)
  }
}

/** Most words that could be base64 are none, and decode to noise. */
function isReadable(bytes: Buffer): boolean {
  const start = bytes.subarray(0, 64)
  return start.filter((byte) => byte >= 0x20 && byte < 0x7f).length > start.length * 0.7
}

const PART_OF_WORD = /[\p{L}\p{N}_-]/u

/** A name within a longer word is another name: 12 is not in 4123. */
function hasWord(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    const [before, after] = [text[at - 1] ?? ' ', text[at + name.length] ?? ' ']
    if (!PART_OF_WORD.test(before) && !PART_OF_WORD.test(after)) return true
  }
  return false
}
