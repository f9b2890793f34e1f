import {
  ANY_EVENT,
  classifyFailure,
  delayInbox,
  type LandOptions,
  postponeInbox,
  retakeInbox,
  type TransactionLimits,
  writeDeadLetters,
} from '@sluice/shared/db'
import { BACKOFF, type DeadLetterReason } from '@sluice/shared/disposition'
import { type BatchTrace, backoffMs, describeError } from '@sluice/shared/runtime'
import { HALVED } from './bisect.ts'
import { countBuried, countHandled } from './count.ts'
import { landRows, letterOfRow, type ReadRow, readRows } from './inbox-rows.ts'
import { type LandingDeps, noteLongJourneys } from './land.ts'
import { settle, waitingTimeMs } from './settle.ts'

/** For rows that lie in the inbox again, since the transaction that took them was rolled back. */
export type InboxRetry = {
  /** Takes rows again and lands them, all or none. @returns each one, in order */
  land(
    rows: readonly ReadRow[],
    limits: TransactionLimits,
    options?: LandOptions,
  ): Promise<readonly ReadRow[]>
  /**
   * Settles the rows whose result is a failure; the others have landed. The rows that wait are put off together.
   *
   * @throws failures of the server
   */
  settleAll(
    rows: readonly ReadRow[],
    results: readonly PromiseSettledResult<unknown>[],
    options?: { hadSlot?: boolean; trace?: BatchTrace | undefined },
  ): Promise<void>
}

export function createInboxRetry(deps: LandingDeps): InboxRetry {
  const { db, circuit, metrics, announcing } = deps
  const onRead = noteLongJourneys(deps)

  async function land(
    rows: readonly ReadRow[],
    limits: TransactionLimits,
    options: LandOptions = {},
  ): Promise<readonly ReadRow[]> {
    const landed = await announcing((announced) =>
      db.landingTransaction(async (connection, now, erasures) => {
        const erased = await deps.erased.asOf(connection, erasures)
        // Another worker may have been faster in between.
        const taken = readRows(await retakeInbox(connection, jobIdsOf(rows)))
        return landRows(connection, taken, { ...options, announced, onRead, now, erased })
      }, limits),
    )
    countHandled(metrics, 'inbox', landed)
    return rows
  }

  async function postpone({ row: { jobId, attempts } }: ReadRow, error: unknown): Promise<void> {
    const { message } = describeError(error)
    const delayMs = backoffMs(attempts, BACKOFF)
    const isPostponed = await postponeInbox(db.pool, { jobId, delayMs, error: message })
    if (isPostponed) metrics.handled.inc({ via: 'inbox', outcome: 'retried' })
  }

  async function bury({ row }: ReadRow, reason: DeadLetterReason, error: unknown): Promise<void> {
    const { taken, buried } = await announcing((announced) =>
      db.landingTransaction(async (connection, _now, erasures) => {
        const erased = await deps.erased.asOf(connection, erasures)
        const rows = await retakeInbox(connection, [row.jobId])
        const letters = rows.map((each) => letterOfRow(each, reason, error))
        return {
          taken: rows.length,
          buried: await writeDeadLetters(connection, letters, { announced, erased }),
        }
      }),
    )
    countBuried(metrics, 'inbox', taken, buried)
  }

  /** @returns why the row waits; undefined if it does not */
  async function settleRow(each: ReadRow, error: unknown, hadSlot: boolean): Promise<unknown> {
    const settled = await settle(deps, {
      job: each.job ?? ANY_EVENT,
      error,
      hadSlot,
      attempts: each.row.attempts + 1,
      landAlone: (options) => land([each], HALVED, options),
      bury: (reason, cause) => bury(each, reason, cause),
    })
    if (settled.kind === 'wait') return settled.error
    if (settled.kind === 'retry') await postpone(each, settled.error)
    return undefined
  }

  return {
    land,
    async settleAll(rows, results, { hadSlot = false, trace } = {}) {
      if (results.some(({ status }) => status === 'fulfilled')) circuit.succeeded()
      const waiting: ReadRow[] = []
      let reason: unknown
      for (const [index, result] of results.entries()) {
        if (result.status === 'fulfilled') continue
        trace?.failed(result.reason)
        const row = rows[index] as ReadRow
        if (classifyFailure(result.reason) === 'infrastructure') throw result.reason
        const error = await settleRow(row, result.reason, hadSlot)
        if (error === undefined) continue
        waiting.push(row)
        reason ??= error
      }
      if (waiting.length === 0) return
      metrics.handled.inc({ via: 'inbox', outcome: 'delayed' }, waiting.length)
      const circuitMs = waiting.length === rows.length ? circuit.failed(reason) : 0
      await delayInbox(db.pool, {
        jobIds: jobIdsOf(waiting),
        delayMs: Math.max(circuitMs, waitingTimeMs()),
        error: describeError(reason).message,
      })
    },
  }
}

export function jobIdsOf(rows: readonly ReadRow[]): string[] {
  return rows.map(({ row }) => row.jobId)
}
