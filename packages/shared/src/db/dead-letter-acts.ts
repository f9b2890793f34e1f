import { failpoint } from '../runtime/failpoint.ts'
import { transactionAnnounced } from './announce.ts'
import { replayJobId } from './dead-letters.ts'
import { notifyInbox } from './inbox-insert.ts'
import { foldJourneyOf } from './journeys.ts'
import { recordAction } from './operator-actions.ts'
import type { Connection, Db } from './pool.ts'

/**
 * The states of a dead letter. Each transition has one function, and one more for the letters of an operation
 * (`letter-batches.ts`):
 *
 * - → `open`: `writeDeadLetters`, also if a replay fails, or a new delivery of an event whose letter has ended
 * - `open` → `replaying`: `replayDeadLetter`
 * - `replaying` → `resolved`: `resolveReplayed`
 * - `open` → `discarded`: `discardDeadLetter`
 * - `discarded` → `open`: `undoDiscard`
 */
export const DEAD_LETTER_STATES = ['open', 'replaying', 'resolved', 'discarded'] as const
export type DeadLetterState = (typeof DEAD_LETTER_STATES)[number]

/** An act of an operator on the dead letter of this number. */
export type DeadLetterAct = {
  readonly id: number
  readonly actor: string
  readonly reason?: string | undefined
}

/**
 * `not_open`: another act came first and left the letter in this state. `not_discarded`: there is nothing to undo.
 */
export type ActOutcome =
  | { kind: 'done' }
  | { kind: 'not_open' | 'not_discarded'; state: DeadLetterState }
  | { kind: 'not_found' }

// A replay whose inbox row is gone (deleted by hand, or missing in a restored backup) has ended without a result, so
// it may be acted on. A row that a worker has claimed is gone only in the transaction of that worker, which also ends
// the replay.
const MAY_ACT = `(state = 'open' or (state = 'replaying' and not exists
  (select from inbox where inbox.replay_of = dead_letters.id)))`

/**
 * Sends the event of a dead letter through landing again. One transaction changes the state and writes the inbox row:
 * a replay needs no Redis and cannot be half done, and of two at the same time one wins.
 */
export async function replayDeadLetter(db: Db, act: DeadLetterAct): Promise<ActOutcome> {
  const outcome = await db.transaction(async (connection): Promise<ActOutcome> => {
    await lock(connection, act.id)
    const { rows } = await connection.query(
      `update dead_letters set state = 'replaying', replays = replays + 1 where id = $1 and ${MAY_ACT}
        returning job_id, envelope, replays`,
      [act.id],
    )
    const letter = rows[0]
    if (!letter) return reasonOfRefusal(connection, act.id, 'not_open')
    failpoint('replay-in-transaction')
    await connection.query('insert into inbox (job_id, envelope, replay_of) values ($1, $2, $3)', [
      replayJobId(letter.job_id, letter.replays),
      letter.envelope,
      act.id,
    ])
    await record(connection, 'replay', act)
    return { kind: 'done' }
  })
  // Outside of the transaction: if no notification can be sent, the worker finds the row at its next poll.
  if (outcome.kind === 'done') await notifyInbox(db.pool).catch(() => {})
  return outcome
}

/** Ends a dead letter without landing its event. The event can still be found. */
export function discardDeadLetter(db: Db, act: DeadLetterAct): Promise<ActOutcome> {
  return end(db, act, { name: 'discard', to: 'discarded', from: MAY_ACT, refusal: 'not_open' })
}

/** Opens a discarded dead letter again. Retention may have deleted it since. */
export function undoDiscard(db: Db, act: DeadLetterAct): Promise<ActOutcome> {
  return end(db, act, { name: 'undo', to: 'open', from: `state = 'discarded'`, refusal: 'not_discarded' })
}

function end(
  db: Db,
  act: DeadLetterAct,
  { name, to, from, refusal }: { name: 'discard' | 'undo'; to: string; from: string; refusal: Refusal },
): Promise<ActOutcome> {
  return transactionAnnounced(db, async (connection, options) => {
    await lock(connection, act.id)
    const { rows } = await connection.query(
      `update dead_letters set state = '${to}' where id = $1 and ${from} returning event_key`,
      [act.id],
    )
    if (!rows[0]) return reasonOfRefusal(connection, act.id, refusal)
    await record(connection, name, act)
    // An open conflict marks its journey.
    await foldJourneyOf(connection, rows[0].event_key, options)
    return { kind: 'done' }
  })
}

/**
 * The acts on a letter wait for each other here. A statement that waited itself would look for the inbox row as of its
 * own beginning, and miss that of the act before.
 */
async function lock(connection: Connection, id: number): Promise<void> {
  await connection.query('select from dead_letters where id = $1 for update', [id])
}

type Refusal = 'not_open' | 'not_discarded'

async function reasonOfRefusal(connection: Connection, id: number, kind: Refusal): Promise<ActOutcome> {
  const { rows } = await connection.query('select state from dead_letters where id = $1', [id])
  return rows[0] ? { kind, state: rows[0].state } : { kind: 'not_found' }
}

function record(
  connection: Connection,
  action: 'replay' | 'discard' | 'undo',
  { id, actor, reason }: DeadLetterAct,
): Promise<void> {
  return recordAction(connection, { actor, action, target: `dead_letter ${id}`, reason })
}
