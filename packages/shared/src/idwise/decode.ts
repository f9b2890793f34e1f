import { isUtf8 } from 'node:buffer'
import { gunzipSync } from 'node:zlib'

/** The largest body that the ingest takes. A compressed one may not be larger when it is decoded. */
export const MAX_BODY_BYTES = 262_144

/**
 * The body before compression. Its first bytes say whether it is gzip, not its label. They are no UTF-8, so no text is
 * mistaken for gzip.
 *
 * @returns undefined for a gzip body that is broken, or has more than 262,144 bytes when decoded
 */
export function decodeBody(raw: Buffer): Buffer | undefined {
  if (!isGzip(raw)) return raw
  try {
    return gunzipSync(raw, { maxOutputLength: MAX_BODY_BYTES })
  } catch {
    return undefined
  }
}

export function isGzip(raw: Buffer): boolean {
  return raw[0] === 0x1f && raw[1] === 0x8b
}

/** The body as text; undefined if it cannot be decoded or is no valid UTF-8. */
export function textOf(raw: Buffer): string | undefined {
  if (isUtf8(raw)) return raw.toString('utf8')
  const decoded = isGzip(raw) ? decodeBody(raw) : undefined
  return decoded && isUtf8(decoded) ? decoded.toString('utf8') : undefined
}
