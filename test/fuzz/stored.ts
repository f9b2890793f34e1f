import type { Db } from '@sluice/shared/db'
import { rawBytes, readEnvelope } from '@sluice/shared/envelope'
import { identify, parseNames } from '@sluice/shared/idwise'

export type StoredBody = { raw: Buffer; deliveries: number }

/** Empties the inbox. @returns its bodies by the id that the ingest answered with */
export async function takeInbox(db: Db): Promise<Map<string, StoredBody[]>> {
  const { rows } = await db.pool.query<{ envelope: string; duplicates: number }>(
    'delete from inbox returning envelope, duplicates',
  )
  const bodies = rows.map(({ envelope, duplicates }) => {
    const read = readEnvelope(JSON.parse(envelope))
    if (!read) throw new Error(`no envelope: ${envelope}`)
    const raw = rawBytes(read)
    const { eventKey, bodySha256 } = identify(read.env, raw, parseNames(raw), read.at)
    return { id: eventKey ?? bodySha256, raw, deliveries: 1 + duplicates }
  })
  return Map.groupBy(bodies, ({ id }) => id)
}

/** In one piece; in pieces if it may have been sent in chunks. */
export function isWithin(raw: Buffer, bytes: Buffer): boolean {
  if (bytes.includes(raw)) return true
  if (!/chunked/i.test(bytes.toString('latin1'))) return false
  let at = 0
  for (const byte of bytes) if (byte === raw[at]) at++
  return at === raw.length
}
