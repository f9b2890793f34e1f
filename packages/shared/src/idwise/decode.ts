import { isUtf8 } from 'node:buffer'
import { gunzipSync } from 'node:zlib'

/** As many bytes as the ingest takes of a body that is not compressed. */
const MAX_DECODED_BYTES = 262_144

/**
 * The body as its sender wrote it: of a gzip body what is in it, else the bytes themselves. Told by its first bytes, as
 * JSON is, whatever it is labelled; they are no UTF-8, so that no text is mistaken for one.
 *
 * @returns undefined for a gzip body that is broken, or of more than 262,144 bytes when decoded
 */
export function decodeBody(raw: Buffer): Buffer | undefined {
  if (!isGzip(raw)) return raw
  try {
    return gunzipSync(raw, { maxOutputLength: MAX_DECODED_BYTES })
  } catch {
    return undefined
  }
}

export function isGzip(raw: Buffer): boolean {
  return raw[0] === 0x1f && raw[1] === 0x8b
}

/** The body as text; undefined where it cannot be decoded or is not valid UTF-8. */
export function textOf(raw: Buffer): string | undefined {
  if (isUtf8(raw)) return raw.toString('utf8')
  const decoded = isGzip(raw) ? decodeBody(raw) : undefined
  return decoded && isUtf8(decoded) ? decoded.toString('utf8') : undefined
}
