import { classifyFailure, type TransactionLimits } from '@sluice/shared/db'

/** This item was not tried: the time for its batch was over, or the server failed. */
export class NotTried extends Error {
  override name = 'NotTried'
}

/** The limits of a whole batch. A lock that others hold for longer is the fault of some row. */
export const WHOLE: TransactionLimits = { lockMs: 500 }
/** Shorter while the batch is halved, so that a row that must wait delays its neighbours only a little. */
export const HALVED: TransactionLimits = { lockMs: 100, statementMs: 2_000 }

const BUDGET_MS = 5_000

/**
 * Runs a batch at once. If it fails because of a row, halves it until the bad row is alone, so that its neighbours do
 * not suffer. One bad row among 128 costs about 14 further runs. If the server fails, or the time is over, all items
 * that are left fail at once.
 *
 * @param run all or nothing: after an error none of its items is done
 * @param options.wholeFailed the batch was run already, and failed with this
 * @returns the result of each item, in order; an item that was not tried is rejected with `NotTried`
 */
export async function bisect<Item, Result>(
  items: readonly Item[],
  run: (items: readonly Item[], limits: TransactionLimits) => Promise<readonly Result[]>,
  { budgetMs = BUDGET_MS, wholeFailed }: { budgetMs?: number; wholeFailed?: { error: unknown } } = {},
): Promise<PromiseSettledResult<Result>[]> {
  const until = performance.now() + budgetMs
  let serverFailed = false

  async function settle(some: readonly Item[], limits: TransactionLimits) {
    if (serverFailed || (limits === HALVED && performance.now() > until)) {
      return rejected(some, new NotTried('put off, since others of its batch fail'))
    }
    try {
      return (await run(some, limits)).map((value) => ({ status: 'fulfilled' as const, value }))
    } catch (reason) {
      serverFailed ||= classifyFailure(reason) === 'infrastructure'
      if (some.length === 1 || serverFailed) return rejected(some, reason)
      return halve(some)
    }
  }

  async function halve(some: readonly Item[]): Promise<PromiseSettledResult<Result>[]> {
    const middle = Math.ceil(some.length / 2)
    const first = await settle(some.slice(0, middle), HALVED)
    return [...first, ...(await settle(some.slice(middle), HALVED))]
  }

  if (!wholeFailed) return settle(items, WHOLE)
  return items.length === 1 ? rejected(items, wholeFailed.error) : halve(items)
}

function rejected(items: readonly unknown[], reason: unknown): PromiseRejectedResult[] {
  return items.map(() => ({ status: 'rejected', reason }))
}
