import { readSpans, type SpanRow } from '../../db/index.ts'
import type { Stores } from '../stores.ts'
import { SENT_AGAIN } from './outcomes.ts'

const SPAN_MS = 600_000
const SPANS = 72

/** What was answered in each ten minutes of the last twelve hours, the present ones last. */
export async function readHours({ db }: Pick<Stores, 'db'>, now = new Date()): Promise<SpanRow[]> {
  const first = (Math.floor(now.getTime() / SPAN_MS) - SPANS + 1) * SPAN_MS
  const rows = await readSpans(db.pool, { since: new Date(first), spanMs: SPAN_MS, refused: SENT_AGAIN })
  const known = new Map(rows.map((row) => [row.at.getTime(), row]))
  return Array.from({ length: SPANS }, (_, index) => {
    const at = first + index * SPAN_MS
    return known.get(at) ?? { at: new Date(at), accepted: 0, refused: 0 }
  })
}
