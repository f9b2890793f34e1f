import { failpoint } from '../runtime/failpoint.ts'
import { transactionAnnounced } from './announce.ts'
import { classifyFailure, isTooSlow } from './failure.ts'
import { notifyInbox } from './inbox-insert.ts'
import { actOnBatch, countUnderWay, hasLettersAhead, recountLetters } from './letter-batches.ts'
import { type Operation, type OperationState, queryOperations } from './operation-rows.ts'
import type { Connection, Db } from './pool.ts'

/** Letters of one transaction. */
const BATCH = 50
/** Replays under way at once: the inbox also serves events that have just come. */
const MOST_UNDER_WAY = 500
/** A rate is kept by batches that are this long apart, ms. */
const RATE_STEP_MS = 250
/** How far an operation may be behind its rate and catch up, ms. */
const MOST_BEHIND_MS = 1_000
/** When an operation is looked at again whose replays are under way, and one that waits for a person, ms. */
const LOOK_AGAIN_MS = 100
const WAITS_MS = 1_000
const COUNT_EVERY_MS = 1_000

/** How long until an operation is due, ms; undefined if none is under way. */
export async function nextStepMs({ pool }: Db): Promise<number | undefined> {
  const { rows } = await pool.query<{ ms: number | null }>(
    `select (extract(epoch from min(due_at) - now()) * 1000)::float8 as ms from operations where ended_at is null`,
  )
  const ms = rows[0]?.ms ?? null
  return ms === null ? undefined : Math.max(0, ms)
}

const DUE = 'where ended_at is null and due_at <= now() order by due_at, id limit 1 for update skip locked'

/**
 * Does the next step of the operation that has been due for longest: acts on a batch of its letters, or moves it to its
 * next state, in one transaction that locks its row. So any number of schedulers may do steps at the same time, and a
 * process that dies loses nothing.
 *
 * @returns false if none is due, or another process does its step
 */
export async function stepOperation(db: Db): Promise<boolean> {
  let locked: number | undefined
  try {
    const isReplaying = await transactionAnnounced(db, async (connection, options) => {
      const [operation] = await queryOperations(connection, DUE, [])
      locked = operation?.id
      return operation && step(connection, operation, options)
    })
    // If no notification can be sent, the worker finds the rows at its next poll.
    if (isReplaying) await notifyInbox(db.pool).catch(() => {})
    return locked !== undefined
  } catch (error) {
    if (locked === undefined) throw error
    // The others go on meanwhile.
    await db.pool.query(`update operations set due_at = now() + interval '1 second' where id = $1`, [locked])
    // Somebody holds a letter of it.
    if (classifyFailure(error) === 'passing' || isTooSlow(error)) return true
    throw error
  }
}

/** @returns whether letters are replayed now */
async function step(
  connection: Connection,
  operation: Operation,
  options: { readonly announced: boolean },
): Promise<boolean> {
  const { state } = operation
  const letters = await countUnderWay(connection, operation)
  const isUnderWay = letters.underWay > 0
  if (state === 'cancelled' || state === 'stopped') {
    await (isUnderWay ? wait(connection, operation, WAITS_MS) : end(connection, operation, state))
    return false
  }
  if (state === 'paused' || state === 'waiting_for_go') {
    await wait(connection, operation, WAITS_MS)
    return false
  }
  if (operation.stopAfter !== null && letters.failed >= operation.stopAfter) {
    await (isUnderWay ? move(connection, operation, 'stopped') : end(connection, operation, 'stopped'))
    return false
  }
  const size = sizeOf(operation, letters)
  const batch = size > 0 ? await actOnBatch(connection, operation, size, options) : undefined
  if (batch) {
    failpoint('operation-in-transaction')
    await advance(connection, operation, batch)
    return operation.kind === 'replay'
  }
  // A batch that found no letter, or a whole sample: what is under way decides what comes next.
  const isSampled = state === 'sampling' && operation.taken >= (operation.sample ?? 0)
  if (isUnderWay || (size <= 0 && !isSampled)) await wait(connection, operation, LOOK_AGAIN_MS)
  else if (isSampled && (await hasLettersAhead(connection, operation)))
    await move(connection, operation, 'waiting_for_go')
  else await end(connection, operation, 'done')
  return false
}

/** With so many replays under way, not one more than `stop_after` of them can fail. */
function sizeOf(
  { kind, state, sample, taken, stopAfter, rate }: Operation,
  { underWay, failed }: { readonly underWay: number; readonly failed: number },
): number {
  const limits = [BATCH]
  if (rate !== null) limits.push(Math.max(1, Math.round((rate * RATE_STEP_MS) / 1_000)))
  if (state === 'sampling') limits.push((sample ?? 0) - taken)
  if (kind === 'replay') limits.push(MOST_UNDER_WAY - underWay)
  if (kind === 'replay' && stopAfter !== null) limits.push(stopAfter - failed - underWay)
  return Math.min(...limits)
}

/** With a rate, the next batch is due when its time has come; an operation that is late catches up. */
async function advance(
  connection: Connection,
  operation: Operation,
  { taken, lastId }: { taken: number; lastId: number },
): Promise<void> {
  const { id, rate } = operation
  const takesMs = rate === null ? 0 : (taken / rate) * 1_000
  await connection.query(
    `update operations set last_id = $2, taken = taken + $3,
      due_at = greatest(due_at, now() - $5::float8 * interval '1 millisecond') + $4::float8 * interval '1 millisecond'
      where id = $1`,
    [id, lastId, taken, takesMs, MOST_BEHIND_MS],
  )
  await recountLetters(connection, id, COUNT_EVERY_MS)
}

async function wait(connection: Connection, operation: Operation, ms: number): Promise<void> {
  await connection.query(
    `update operations set due_at = now() + $2::float8 * interval '1 millisecond' where id = $1`,
    [operation.id, ms],
  )
  await recountLetters(connection, operation.id, COUNT_EVERY_MS)
}

async function move(connection: Connection, { id }: Operation, to: OperationState): Promise<void> {
  await recountLetters(connection, id)
  await connection.query('update operations set state = $2 where id = $1', [id, to])
}

async function end(connection: Connection, operation: Operation, state: OperationState): Promise<void> {
  await move(connection, operation, state)
  // Those that it has not reached although it is done were reached by others.
  await connection.query(
    `update operations set ended_at = now(),
      skipped = case when state = 'done' then greatest(0, expected - taken) else 0 end where id = $1`,
    [operation.id],
  )
}
