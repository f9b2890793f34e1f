import { classifyFailure, type TransactionLimits } from '@sluice/shared/db'

/** Nothing was tried for this item: its time was up, or the server was. */
export class NotTried extends Error {
  override name = 'NotTried'
}

/** What a batch is landed with: a lock that others hold for longer is bound to a row. */
export const WHOLE: TransactionLimits = { lockMs: 500 }
/** Shorter while it is halved, so that what waits for one row holds up its neighbours but little. */
export const HALVED: TransactionLimits = { lockMs: 100, statementMs: 2_000 }

const BUDGET_MS = 5_000

/**
 * Runs a batch in one go; where it fails on a row, halves it until the bad row stands alone, so that its neighbours
 * do not suffer. One bad row among 128 costs about 14 further runs. A failure of the server fails everybody at once,
 * and so does the end of the time for this.
 *
 * @param run all or nothing: an error means that nothing of it was done
 * @param options.wholeFailed the batch has been run already, and has failed with this
 * @returns for each item, in order, its own result; what was left out is rejected with `NotTried`
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
