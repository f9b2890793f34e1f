import { delayInbox, dropClaim, type InboxRow, type Job, noteClaim } from '@sluice/shared/db'
import type { BatchTrace } from '@sluice/shared/runtime'
import { type InboxRetry, jobIdsOf } from './inbox-retry.ts'
import type { ReadRow } from './inbox-rows.ts'
import { type LandingDeps, landInSlot } from './land.ts'
import { divide } from './slow-journeys.ts'

/** Longer than it takes until a slot starts. */
const SLOT_STARTS_MS = 10_000

/** Rows that do not land together with the others of their batch, and go back into the inbox. */
export type PutBack = {
  readonly rows: readonly { readonly row: InboxRow; readonly delayMs: number }[]
  /** Those of them whose slot starts now, by the group that lands alone. */
  readonly inSlots: ReadonlyMap<string, readonly ReadRow[]>
  /** Why all rows of the batch are held back, if they are. */
  readonly error?: unknown
}

export const NOTHING: PutBack = { rows: [], inSlots: new Map() }

/** Separates the rows that land together from those whose shape is held back or whose journey is slow. */
export async function separate(
  { slowJourneys, comparison }: LandingDeps,
  rows: readonly ReadRow[],
): Promise<{ common: readonly ReadRow[]; putBack: PutBack }> {
  if (slowJourneys.isEmpty && !comparison.isHolding) return { common: rows, putBack: NOTHING }
  const held = await comparison.heldBack(rows.flatMap(({ job }) => job ?? []))
  const heldOf = ({ job }: ReadRow) => held.get(job as Job)
  const back = rows.flatMap((each) => {
    const waits = heldOf(each)
    return waits ? [{ row: each.row, delayMs: waits.ms }] : []
  })
  const free = rows.filter((each) => !heldOf(each))
  const { common, groups } = divide(slowJourneys, free, ({ job }) => job)
  const inSlots = new Map<string, readonly ReadRow[]>()
  for (const [group, some] of groups) {
    const waitMs = slowJourneys.waitMs(group, some.length)
    if (waitMs === undefined) inSlots.set(group, some)
    back.push(...some.map(({ row }) => ({ row, delayMs: waitMs ?? SLOT_STARTS_MS })))
  }
  const [reason] = held.values()
  return { common, putBack: { rows: back, inSlots, error: common.length === 0 ? reason?.error : undefined } }
}

/** Lands the groups whose slots start now. Their rows lie in the inbox again. */
export async function landSlots(
  deps: LandingDeps,
  { inSlots, error }: PutBack,
  { claim, retry, trace }: { claim: string; retry: InboxRetry; trace?: BatchTrace | undefined },
): Promise<void> {
  const { pool } = deps.db
  // The claim names rows that are back in the inbox, and not because of a crash.
  await dropClaim(pool, claim)
  if (error !== undefined) {
    deps.circuit.failed(error)
    trace?.failed(error)
  }
  for (const [group, rows] of inSlots) {
    const jobIds = jobIdsOf(rows)
    await noteClaim(pool, claim, jobIds)
    const results = await landInSlot(deps, group, rows, retry.land)
    await dropClaim(pool, claim)
    if (typeof results !== 'number') await retry.settleAll(rows, results, { hadSlot: true, trace })
    else await delayInbox(pool, { jobIds, delayMs: results, error: null })
  }
}
