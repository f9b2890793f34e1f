import { and, desc, eq, isNull, or, sql } from 'drizzle-orm'
import type { DeadLetter } from './dead-letter-queries.ts'
import type { Db } from './pool.ts'
import { deadLetters, events } from './schema.ts'

export type StoredEvent = typeof events.$inferSelect

const MOST = 100

/**
 * Finds events and dead letters, newest first, at most 100 of each.
 *
 * @param id an event id, an event key, or the SHA-256 of a body without event id. Key and hash are 64 hex digits, as
 * the ingest answers them.
 */
export async function findEvent(
  db: Db,
  id: string,
): Promise<{ events: StoredEvent[]; deadLetters: DeadLetter[] }> {
  const key = /^[0-9a-f]{64}$/i.test(id) ? Buffer.from(id, 'hex') : undefined
  const isEvent = or(
    eq(events.eventId, id),
    key && eq(events.eventKey, key),
    key && and(eq(events.bodySha256, key), isNull(events.eventId)),
  )
  const isLetter = or(
    eq(deadLetters.eventId, id),
    key && eq(deadLetters.eventKey, key),
    key && and(eq(sql`sha256(${deadLetters.raw})`, key), isNull(deadLetters.eventId)),
  )
  return {
    events: await db.query.select().from(events).where(isEvent).orderBy(desc(events.receivedAt)).limit(MOST),
    deadLetters: await db.query
      .select()
      .from(deadLetters)
      .where(isLetter)
      .orderBy(desc(deadLetters.id))
      .limit(MOST),
  }
}
