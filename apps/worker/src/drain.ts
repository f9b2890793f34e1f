import { classifyFailure, dropClaim, noteClaim, putBackInbox, takeInbox } from '@sluice/shared/db'
import { type BatchTrace, failpoint } from '@sluice/shared/runtime'
import { bisect, WHOLE } from './bisect.ts'
import { countHandled, traceFailed } from './count.ts'
import { landSlots, NOTHING, separate } from './inbox-put-back.ts'
import { createInboxRetry, jobIdsOf } from './inbox-retry.ts'
import { landRows, type ReadRow, readRows } from './inbox-rows.ts'
import { createInboxScan } from './inbox-scan.ts'
import { type LandingDeps, noteLongJourneys } from './land.ts'

const BATCH = 400
const BATCH_BYTES = 4_000_000
/** A character takes up to four bytes. */
const HEAVY_CHARACTERS = BATCH_BYTES / 4

/** `more` asks to be called again at once. */
export type Drain = (round: number) => Promise<{ taken: number; more: boolean }>

/**
 * Lands one batch of the inbox with each call. The transaction that lands rows takes them out of the inbox, so each row
 * lands exactly once, even if the worker dies in the middle. The drain throws failures of the server: nothing has
 * changed then, and no attempt is used up.
 *
 * @param worker names this worker in the claims, which show after a crash what it had taken
 */
export function createDrain(deps: LandingDeps, worker: string): Drain {
  const { db, circuit, metrics, announcing, traces } = deps
  const scans = createInboxScan()
  const retry = createInboxRetry(deps)
  const onRead = noteLongJourneys(deps)
  /**
   * Rows of a batch that would weigh as much as it may, if they are like the last ones: a batch locks what it leaves.
   */
  let limit = BATCH

  async function drainOnce(round: number, trace: BatchTrace | undefined): ReturnType<Drain> {
    const claim = `${worker}-${round}`
    const scan = scans.next()
    const most = limit
    let rows: ReadRow[] = []
    const endStage = metrics.startBatch()
    const landBatch = (announced: boolean) => {
      trace?.step('take')
      return db.landingTransaction(async (connection, begunAt, erasures) => {
        rows = readRows(await takeInbox(connection, most, { bytes: BATCH_BYTES, since: scan.since }))
        const found = { to: begunAt, tookMs: performance.now() - scan.startedAt }
        if (rows.length === 0) return { found, landed: [], putBack: NOTHING }
        await noteClaim(db.pool, claim, jobIdsOf(rows))
        failpoint('worker-after-claim')
        endStage('take', rows.length)
        trace?.step('land')
        const { common, putBack } = await separate(deps, rows)
        await putBackInbox(connection, putBack.rows)
        const erased = await deps.erased.asOf(connection, erasures)
        const landed = await landRows(connection, common, { announced, onRead, now: begunAt, erased })
        endStage('land', rows.length)
        trace?.step('finish')
        return { found, landed, putBack }
      }, WHOLE)
    }

    const result = await announcing(landBatch).catch((error: unknown) => ({ error }))
    if (trace) for (const { job } of rows) trace.add(job?.envelope.trace)
    if ('error' in result) {
      trace?.failed(result.error)
      scans.failed()
      await dropClaim(db.pool, claim).catch(() => {})
      if (rows.length === 0 || classifyFailure(result.error) === 'infrastructure') throw result.error
      trace?.step('land')
      const results = await bisect(rows, retry.land, { wholeFailed: result })
      endStage('land', rows.length)
      trace?.step('finish')
      await retry.settleAll(rows, results, { trace })
      endStage('finish', rows.length)
      return { taken: rows.length, more: true }
    }
    if (rows.length === 0) {
      scans.emptied(scan, result.found)
      return { taken: 0, more: false }
    }
    endStage('finish', rows.length)
    failpoint('worker-after-commit')
    const { found, landed, putBack } = result
    const weight = rows.reduce((sum, { row }) => sum + row.envelope.length, 0)
    const isCut = rows.length < most && weight > HEAVY_CHARACTERS
    const more = rows.length === most || isCut
    limit = Math.max(1, Math.min(BATCH, Math.floor((BATCH_BYTES * rows.length) / weight)))
    if (isCut) scans.left(newest(rows))
    else scans.emptied(scan, more ? { ...found, to: newest(rows) } : found)
    countHandled(metrics, 'inbox', landed)
    if (trace) traceFailed(trace, landed)
    if (landed.length > 0) circuit.succeeded()
    if (putBack.rows.length > 0) await landSlots(deps, putBack, { claim, retry, trace })
    return { taken: rows.length, more }
  }

  return async (round) => {
    const trace = traces?.batch('land events')
    try {
      return await drainOnce(round, trace)
    } finally {
      trace?.end({ 'sluice.via': 'inbox' })
    }
  }
}

function newest(rows: readonly ReadRow[]): number {
  return Math.max(...rows.map(({ row }) => row.availableAt))
}
