import {
  type Connection,
  classifyFailure,
  type Db,
  type DeadLetterReason,
  type Delivery,
  dropClaim,
  type InboxRow,
  type Landed,
  landDeliveries,
  noteClaim,
  postponeInbox,
  retakeInbox,
  takeInbox,
  writeDeadLetters,
} from '@sluice/shared/db'
import { readEnvelope } from '@sluice/shared/idwise'
import { ATTEMPTS, BACKOFF } from '@sluice/shared/queue'
import { backoffMs, describeError, failpoint, type Metrics } from '@sluice/shared/runtime'
import { countHandled, type Handled } from './count.ts'
import { isolate } from './isolate.ts'

const BATCH = 400

/** As many crashes as the queue allows a job. */
const MAX_CRASHES = 10

/**
 * Lands one batch of the inbox. Rows are taken out in the transaction that lands them, so each lands exactly once,
 * whoever dies in the middle.
 *
 * @returns how many rows it took; fewer than `BATCH` means that the inbox is empty for now.
 * @param worker names this drain in the claims, from which a crash is told
 * @throws infrastructure failures; nothing has changed then, and no attempt is used up.
 */
export async function drainInbox(
  db: Db,
  metrics: Metrics,
  worker: string,
): Promise<{ taken: number; more: boolean }> {
  let rows: InboxRow[] = []
  try {
    const landed = await db.transaction(async (connection, now) => {
      rows = await takeInbox(connection, BATCH)
      if (rows.length === 0) return []
      await noteClaim(
        db.pool,
        worker,
        rows.map(({ jobId }) => jobId),
      )
      failpoint('worker-after-claim')
      return landRows(connection, rows, { now })
    })
    if (rows.length > 0) failpoint('worker-after-commit')
    countHandled(metrics, 'inbox', landed)
  } catch (error) {
    await dropClaim(db.pool, worker).catch(() => {})
    if (rows.length === 0 || classifyFailure(error) === 'infrastructure') throw error
    await landOneByOne(db, rows, metrics)
  }
  return { taken: rows.length, more: rows.length === BATCH }
}

/** Lands taken rows; those that are no envelope become dead letters. */
async function landRows(
  connection: Connection,
  rows: readonly InboxRow[],
  options: { withoutBody?: boolean; now: number },
): Promise<Handled[]> {
  if (rows.length === 0) return []
  const crashed = rows.filter((row) => row.crashes > MAX_CRASHES)
  const read = rows
    .filter((row) => !crashed.includes(row))
    .map((row) => ({ row, envelope: readEnvelope(parseJson(row.envelope)) }))
  const deliveries = read.flatMap(({ row, envelope }): Delivery[] =>
    envelope
      ? [{ jobId: row.jobId, envelope, via: 'inbox', duplicates: row.duplicates, replayOf: row.replayOf }]
      : [],
  )
  const outcomes = await landDeliveries(connection, deliveries, options)
  const unreadable = read.filter(({ envelope }) => !envelope).map(({ row }) => row)
  await writeDeadLetters(
    connection,
    crashed.map((row) =>
      letterOf(row, 'worker_crashed', new Error(`Its worker died with it ${row.crashes} times.`)),
    ),
  )
  await writeDeadLetters(
    connection,
    unreadable.map((row) =>
      letterOf(row, 'unreadable', new Error('The row carries no envelope that this version knows.')),
    ),
  )
  return [
    ...deliveries.map(({ envelope }, index) => ({
      outcome: outcomes[index] as Landed,
      receivedAt: envelope.at,
    })),
    ...[...crashed, ...unreadable].map(() => ({ outcome: 'dead_letter' as const })),
  ]
}

/** A row of the batch fails: every other one lands, the bad one is postponed or becomes a dead letter. */
async function landOneByOne(db: Db, rows: readonly InboxRow[], metrics: Metrics): Promise<void> {
  const land = (jobIds: readonly string[], options: { withoutBody?: boolean }) =>
    db
      // Another worker may have been faster in between.
      .transaction(async (connection, now) =>
        landRows(connection, await retakeInbox(connection, jobIds), { ...options, now }),
      )
      .then((landed) => {
        countHandled(metrics, 'inbox', landed)
        return jobIds
      })
  const results = await isolate(
    rows.map(({ jobId }) => jobId),
    (jobIds) => land(jobIds, {}),
  )
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') continue
    const row = rows[index] as InboxRow
    if (classifyFailure(result.reason) === 'infrastructure') throw result.reason
    const [again] = await isolate([row.jobId], (jobIds) => land(jobIds, { withoutBody: true }))
    if (again?.status === 'rejected') await postponeOrBury(db, row, again.reason, metrics)
  }
}

async function postponeOrBury(db: Db, row: InboxRow, error: unknown, metrics: Metrics): Promise<void> {
  const failure = classifyFailure(error)
  if (failure === 'infrastructure') throw error
  const isLastAttempt = row.attempts + 1 >= ATTEMPTS
  if (failure === 'unknown' && !isLastAttempt) {
    const delayMs = backoffMs(row.attempts, BACKOFF)
    const message = describeError(error).message
    const isPostponed = await postponeInbox(db.pool, { jobId: row.jobId, delayMs, error: message })
    if (isPostponed) metrics.handled.inc({ via: 'inbox', outcome: 'retried' })
    return
  }
  const reason = failure === 'event' ? 'rejected_by_database' : 'attempts_exhausted'
  const buried = await db.transaction(async (connection) => {
    const taken = await retakeInbox(connection, [row.jobId])
    await writeDeadLetters(
      connection,
      taken.map((each) => letterOf(each, reason, error)),
    )
    return taken.length
  })
  metrics.handled.inc({ via: 'inbox', outcome: 'dead_letter' }, buried)
}

function letterOf(row: InboxRow, reason: DeadLetterReason, error: unknown) {
  const { jobId, envelope, attempts } = row
  return { jobId, reason, error: describeError(error), attempts: attempts + 1, envelope }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
