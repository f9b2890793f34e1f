import { and, desc, eq, getTableColumns, isNull, lt, or, sql } from 'drizzle-orm'
import { failpoint } from '../runtime/failpoint.ts'
import { transactionAnnounced } from './announce.ts'
import { replayJobId } from './dead-letters.ts'
import { notifyInbox } from './inbox-insert.ts'
import { foldJourneyOf } from './journeys.ts'
import type { Connection, Db } from './pool.ts'
import { deadLetters, events } from './schema.ts'

export type DeadLetterState = 'open' | 'replaying' | 'resolved' | 'discarded'
export type StoredEvent = typeof events.$inferSelect
export type DeadLetter = typeof deadLetters.$inferSelect
export type DeadLetterSummary = Omit<DeadLetter, 'raw' | 'envelope'>

/**
 * What is stored under an event id, an event key or, for a body without event id, its SHA-256 (both as 64 hex
 * digits, as the ingest answers them), newest first, at most 100 of each.
 */
export async function findEvent(
  db: Db,
  id: string,
): Promise<{ events: StoredEvent[]; deadLetters: DeadLetter[] }> {
  const key = /^[0-9a-f]{64}$/i.test(id) ? Buffer.from(id, 'hex') : undefined
  const anonymous = key && and(eq(events.bodySha256, key), isNull(events.eventId))
  const inEvents = or(eq(events.eventId, id), key && eq(events.eventKey, key), anonymous)
  const anonymousLetter = key && and(isNull(deadLetters.eventId), eq(sql`sha256(${deadLetters.raw})`, key))
  const inLetters = or(eq(deadLetters.eventId, id), key && eq(deadLetters.eventKey, key), anonymousLetter)
  return {
    events: await db.query.select().from(events).where(inEvents).orderBy(desc(events.receivedAt)).limit(100),
    deadLetters: await db.query
      .select()
      .from(deadLetters)
      .where(inLetters)
      .orderBy(desc(deadLetters.id))
      .limit(100),
  }
}

/** Dead letters, newest first; `before` is the last id of the page before. */
export async function listDeadLetters(
  db: Db,
  { state, limit, before }: { state?: DeadLetterState; limit: number; before?: number },
): Promise<DeadLetterSummary[]> {
  const { raw: _raw, envelope: _envelope, ...columns } = getTableColumns(deadLetters)
  return db.query
    .select(columns)
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

/** `not_open` tells the state that the letter was found in: somebody else was first. */
export type ActOutcome =
  | { kind: 'done' }
  | { kind: 'not_open'; state: DeadLetterState }
  | { kind: 'not_found' }

// Nobody works on a replay whose inbox row is gone (deleted by hand, or left out by a restore): it ended without a result.
// The row that a worker has taken is gone only for that worker, until the transaction that also decides about the letter.
const MAY_ACT = `(state = 'open' or (state = 'replaying' and not exists
  (select from inbox where inbox.replay_of = dead_letters.id)))`

/**
 * Sends a dead letter's event through landing again. The mark and the inbox row are one transaction, so a replay
 * needs no Redis, cannot be half done, and of two at once one wins.
 */
export async function replayDeadLetter(
  db: Db,
  act: { id: number; actor: string; reason?: string },
): Promise<ActOutcome> {
  const outcome = await db.transaction(async (connection): Promise<ActOutcome> => {
    const { rows } = await connection.query(
      `update dead_letters set state = 'replaying', replays = replays + 1 where id = $1 and ${MAY_ACT}
        returning job_id, envelope, replays`,
      [act.id],
    )
    const letter = rows[0]
    if (!letter) return whyNot(connection, act.id)
    failpoint('replay-in-transaction')
    await connection.query('insert into inbox (job_id, envelope, replay_of) values ($1, $2, $3)', [
      replayJobId(letter.job_id, letter.replays),
      letter.envelope,
      act.id,
    ])
    await record(connection, 'replay', act)
    return { kind: 'done' }
  })
  // Apart from it: one that cannot be sent costs a poll's delay.
  if (outcome.kind === 'done') await notifyInbox(db.pool).catch(() => {})
  return outcome
}

/** Ends a dead letter without landing its event, which stays findable. */
export function discardDeadLetter(
  db: Db,
  act: { id: number; actor: string; reason?: string },
): Promise<ActOutcome> {
  return transactionAnnounced(db, async (connection, options) => {
    const { rows } = await connection.query(
      `update dead_letters set state = 'discarded' where id = $1 and ${MAY_ACT} returning event_key`,
      [act.id],
    )
    if (!rows[0]) return whyNot(connection, act.id)
    await record(connection, 'discard', act)
    // A conflict that somebody has decided about needs no attention any more.
    await foldJourneyOf(connection, rows[0].event_key, options)
    return { kind: 'done' }
  })
}

async function whyNot(connection: Connection, id: number): Promise<ActOutcome> {
  const { rows } = await connection.query('select state from dead_letters where id = $1', [id])
  return rows[0] ? { kind: 'not_open', state: rows[0].state } : { kind: 'not_found' }
}

/** Notes that completed jobs were sent through landing again. */
export async function recordReland(
  connection: Connection,
  { actor, sent, since, reason }: { actor: string; sent: number; since: Date; reason?: string },
): Promise<void> {
  await connection.query(
    'insert into operator_actions (actor, action, target, reason) values ($1, $2, $3, $4)',
    [actor, 'reland', `${sent} jobs completed since ${since.toISOString()}`, reason ?? null],
  )
}

async function record(
  connection: Connection,
  action: 'replay' | 'discard',
  { id, actor, reason }: { id: number; actor: string; reason?: string },
): Promise<void> {
  await connection.query(
    'insert into operator_actions (actor, action, target, reason) values ($1, $2, $3, $4)',
    [actor, action, `dead_letter ${id}`, reason ?? null],
  )
}
