import {
  ANY_EVENT,
  classifyFailure,
  type DeadLetterReason,
  delayInbox,
  dropClaim,
  type InboxRow,
  type Job,
  type LandOptions,
  noteClaim,
  postponeInbox,
  putBackInbox,
  retakeInbox,
  type TransactionLimits,
  takeInbox,
  writeDeadLetters,
} from '@sluice/shared/db'
import { ATTEMPTS, BACKOFF } from '@sluice/shared/queue'
import { backoffMs, describeError, failpoint } from '@sluice/shared/runtime'
import { bisect, HALVED, WHOLE } from './bisect.ts'
import { countHandled, type Handled } from './count.ts'
import { createFloor } from './inbox-scan.ts'
import { type Means, noticing, setApart, takeTurn, tryAtLast } from './land.ts'
import { landRows, letterOf, readInboxJob } from './rows.ts'
import { divide } from './slow-journeys.ts'
import type { Verdict } from './verdict.ts'

const BATCH = 400
const BATCH_BYTES = 4_000_000
/** A character takes up to four bytes. */
const HEAVY_CHARACTERS = BATCH_BYTES / 4
/** How long what is put off waits, at least. */
const WAIT_MS = 1_000
/** Longer than a turn takes to begin. */
const TURN_MS = 10_000

/** `more` asks to be called again at once. */
export type Drain = (round: number) => Promise<{ taken: number; more: boolean }>

/**
 * Lands one batch of the inbox with each call. Rows are taken out in the transaction that lands them, so each lands
 * exactly once, whoever dies in the middle. It throws failures of the server; nothing has changed then, and no attempt is
 * used up.
 *
 * @param worker names this worker in the claims, from which a crash is told
 */
export function createDrain(means: Means, worker: string): Drain {
  const { db, circuit, metrics, judge, apart, announcer } = means
  const floor = createFloor()
  /** As many as the last batch would have been, had it weighed as much as it may: what is left over is held by it. */
  let limit = BATCH
  const onRead = noticing(means)

  return async (round) => {
    const claim = `${worker}-${round}`
    const look = floor.next()
    const most = limit
    let rows: InboxRow[] = []
    /** Lands what lands with others, in the transaction that takes the rows, and tells what is to come later. */
    const landCommon = (announced: boolean) =>
      db.landingTransaction(async (connection, begunAt) => {
        rows = await takeInbox(connection, most, { bytes: BATCH_BYTES, since: look.since })
        const found = { to: begunAt, tookMs: performance.now() - look.beganAt }
        if (rows.length === 0) return { found, landed: [], later: NOTHING }
        const jobIds = rows.map(({ jobId }) => jobId)
        await noteClaim(db.pool, claim, jobIds)
        failpoint('worker-after-claim')
        const { common, later } = await sortOut(rows)
        await putBackInbox(connection, later.back)
        return {
          found,
          landed: await landRows(connection, common, { announced, onRead, now: begunAt }),
          later,
        }
      }, WHOLE)

    const result = await announcer(landCommon).catch((error: unknown) => ({ error }))
    if ('error' in result) {
      floor.failed()
      await dropClaim(db.pool, claim).catch(() => {})
      if (rows.length === 0 || classifyFailure(result.error) === 'infrastructure') throw result.error
      await settle(rows, await bisect(rows, retake, { wholeFailed: result }))
      return { taken: rows.length, more: true }
    }
    if (rows.length > 0) failpoint('worker-after-commit')
    const { found, landed, later } = result
    const weight = rows.reduce((sum, { envelope }) => sum + envelope.length, 0)
    const isCut = rows.length < most && weight > HEAVY_CHARACTERS
    const more = rows.length === most || isCut
    if (rows.length > 0)
      limit = Math.max(1, Math.min(BATCH, Math.floor((BATCH_BYTES * rows.length) / weight)))
    if (isCut) floor.left(newest(rows))
    else floor.emptied(look, more ? { ...found, to: newest(rows) } : found)
    note(landed)
    if (landed.length > 0) circuit.succeeded()
    if (later.back.length > 0) await takeTurns(claim, later)
    return { taken: rows.length, more }
  }

  /** Tells those that are not to land with the others. */
  async function sortOut(rows: readonly InboxRow[]): Promise<{ common: readonly InboxRow[]; later: Later }> {
    if (apart.isEmpty && !judge.isHolding) return { common: rows, later: NOTHING }
    const deliveries = new Map(rows.map((row) => [row, readInboxJob(row)]))
    const held = await judge.heldBack([...deliveries.values()].filter((each) => each !== undefined))
    const heldOf = (row: InboxRow) => held.get(deliveries.get(row) as Job)
    const back = rows.flatMap((row) => {
      const waits = heldOf(row)
      return waits ? [{ row, delayMs: waits.ms }] : []
    })
    const free = rows.filter((row) => !heldOf(row))
    const { common, groups } = divide(apart, free, (row) => deliveries.get(row))
    const turns = new Map<string, InboxRow[]>()
    for (const [group, some] of groups) {
      const waitMs = apart.waitMs(group, some.length)
      if (waitMs === undefined) turns.set(group, some)
      back.push(...some.map((row) => ({ row, delayMs: waitMs ?? TURN_MS })))
    }
    const [reason] = held.values()
    return { common, later: { back, turns, error: common.length === 0 ? reason?.error : undefined } }
  }

  /** Lands groups that have their turn, which lie in the inbox again. */
  async function takeTurns(claim: string, { turns, error }: Later): Promise<void> {
    // The claim is for rows that are there again, through no crash.
    await dropClaim(db.pool, claim)
    if (error !== undefined) circuit.failed(error)
    for (const [group, rows] of turns) {
      const jobIds = rows.map(({ jobId }) => jobId)
      await noteClaim(db.pool, claim, jobIds)
      const results = await takeTurn(means, group, rows, retake)
      await dropClaim(db.pool, claim)
      if (typeof results !== 'number') await settle(rows, results, { isApart: true })
      else await delayInbox(db.pool, { jobIds, delayMs: results, error: null })
    }
  }

  /** Takes rows again and lands them. @returns each one, in order */
  async function retake(
    rows: readonly InboxRow[],
    limits: TransactionLimits,
    options: LandOptions = {},
  ): Promise<readonly InboxRow[]> {
    const jobIds = rows.map(({ jobId }) => jobId)
    const landed = await announcer((announced) =>
      db.landingTransaction(async (connection, now) => {
        // Another worker may have been faster in between.
        const taken = await retakeInbox(connection, jobIds)
        return landRows(connection, taken, { ...options, announced, onRead, now })
      }, limits),
    )
    note(landed)
    return rows
  }

  function note(handled: readonly Handled[]): void {
    countHandled(metrics, 'inbox', handled)
  }

  /** Every other row has landed; those that failed are put off, or become dead letters. */
  async function settle(
    rows: readonly InboxRow[],
    results: readonly PromiseSettledResult<unknown>[],
    { isApart = false } = {},
  ): Promise<void> {
    if (results.some(({ status }) => status === 'fulfilled')) circuit.succeeded()
    const waiting: InboxRow[] = []
    let reason: unknown
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') continue
      const row = rows[index] as InboxRow
      if (classifyFailure(result.reason) === 'infrastructure') throw result.reason
      const error = await settleRow(row, result.reason, isApart)
      if (error === undefined) continue
      waiting.push(row)
      reason ??= error
    }
    if (waiting.length === 0) return
    metrics.handled.inc({ via: 'inbox', outcome: 'delayed' }, waiting.length)
    const circuitMs = waiting.length === rows.length ? circuit.failed(reason) : 0
    await delayInbox(db.pool, {
      jobIds: waiting.map(({ jobId }) => jobId),
      delayMs: Math.max(circuitMs, WAIT_MS * (1 + Math.random())),
      error: describeError(reason).message,
    })
  }

  /** @returns why it waits; undefined where it does not */
  async function settleRow(row: InboxRow, error: unknown, isApart: boolean): Promise<unknown> {
    const delivery = readInboxJob(row) ?? ANY_EVENT
    if (!isApart && setApart(means, error, delivery)) return error
    const isLastAttempt = row.attempts + 1 >= ATTEMPTS
    const verdict = await judge.judge(error, delivery, isLastAttempt)
    if (verdict.kind !== 'bury') return act(row, verdict, error)
    const failed = await tryAtLast(means, { delivery, isLastAttempt }, (options) =>
      retake([row], HALVED, options),
    )
    return failed && act(row, failed.verdict, failed.error)
  }

  async function act(row: InboxRow, verdict: Verdict, error: unknown): Promise<unknown> {
    switch (verdict.kind) {
      case 'wait':
        return error
      case 'retry':
        await postpone(row, error)
        return undefined
      case 'bury':
        return bury(row, verdict.reason, error).then(
          () => undefined,
          (reason: unknown) => reason,
        )
      default:
        return verdict satisfies never
    }
  }

  async function postpone({ jobId, attempts }: InboxRow, error: unknown): Promise<void> {
    const { message } = describeError(error)
    const delayMs = backoffMs(attempts, BACKOFF)
    const isPostponed = await postponeInbox(db.pool, { jobId, delayMs, error: message })
    if (isPostponed) metrics.handled.inc({ via: 'inbox', outcome: 'retried' })
  }

  async function bury(row: InboxRow, reason: DeadLetterReason, error: unknown): Promise<void> {
    const buried = await announcer((announced) =>
      db.landingTransaction(async (connection) => {
        const taken = await retakeInbox(connection, [row.jobId])
        const letters = taken.map((each) => letterOf(each, reason, error))
        await writeDeadLetters(connection, letters, { announced })
        return taken.length
      }),
    )
    metrics.handled.inc({ via: 'inbox', outcome: 'dead_letter' }, buried)
  }
}

/** Rows that lie in the inbox again: all of them, those that have their turn at once, and why all are held back. */
type Later = {
  readonly back: readonly { readonly row: InboxRow; readonly delayMs: number }[]
  readonly turns: ReadonlyMap<string, readonly InboxRow[]>
  readonly error?: unknown
}
const NOTHING: Later = { back: [], turns: new Map() }

function newest(rows: readonly InboxRow[]): number {
  return Math.max(...rows.map(({ availableAt }) => availableAt))
}
