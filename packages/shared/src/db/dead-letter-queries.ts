import { and, desc, eq, getTableColumns, lt } from 'drizzle-orm'
import type { DeadLetterState } from './dead-letter-acts.ts'
import type { Db } from './pool.ts'
import { deadLetters } from './schema.ts'

export type DeadLetter = typeof deadLetters.$inferSelect
export type DeadLetterSummary = Omit<DeadLetter, 'raw' | 'envelope'>

const { raw: _raw, envelope: _envelope, ...SUMMARY } = getTableColumns(deadLetters)

/** Lists dead letters, newest first. `before` is the last id of the page before. */
export async function listDeadLetters(
  db: Db,
  {
    state,
    limit,
    before,
  }: { state?: DeadLetterState | undefined; limit: number; before?: number | undefined },
): Promise<DeadLetterSummary[]> {
  return db.query
    .select(SUMMARY)
    .from(deadLetters)
    .where(
      and(
        state && eq(deadLetters.state, state),
        before === undefined ? undefined : lt(deadLetters.id, before),
      ),
    )
    .orderBy(desc(deadLetters.id))
    .limit(limit)
}

export async function getDeadLetter(db: Db, id: number): Promise<DeadLetter | undefined> {
  const [letter] = await db.query.select().from(deadLetters).where(eq(deadLetters.id, id))
  return letter
}
