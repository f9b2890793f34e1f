/** Statements that insert rows rarely take longer than this. */
const MARGIN_MS = 1_000
const WHOLE_EVERY_MS = 5_000
/** Scans of the whole inbox take at most the 20th part of the time. */
const SHARE = 20

/**
 * Where the next scan of the inbox starts. Rows that were taken stay in the index until Postgres cleans it up, which it
 * cannot do while an old snapshot is held. So each scan starts where the last one ended, and every few seconds one
 * scans the whole inbox: for rows that were locked, or came late, or that a dead worker had taken.
 */
export type InboxScan = {
  next(): Scan
  /**
   * The scan left no row that was due before `to`, ms since 1970 by Postgres' clock. It took so long to find that out.
   */
  emptied(scan: Scan, result: { to: number; tookMs: number }): void
  /** The scan left rows that were due after `from`. It had locked them, so concurrent scans did not see them. */
  left(from: number): void
  /** The rows that were taken may be in the inbox again. */
  failed(): void
}

/** `since`: where it starts, ms since 1970 by Postgres' clock. */
type Scan = { readonly since: number; readonly startedAt: number }

const EVERYTHING = Number.NEGATIVE_INFINITY

export function createInboxScan(now: () => number = () => performance.now()): InboxScan {
  let start = EVERYTHING
  let nextWholeAt = EVERYTHING
  let leftAt = EVERYTHING
  return {
    next() {
      const isWhole = now() >= nextWholeAt
      if (isWhole) nextWholeAt = now() + WHOLE_EVERY_MS
      return { since: isWhole ? EVERYTHING : start, startedAt: now() }
    },
    emptied({ since, startedAt }, { to, tookMs }) {
      if (startedAt > leftAt) start = Math.max(start, to - MARGIN_MS)
      if (since === EVERYTHING) nextWholeAt = now() + Math.max(WHOLE_EVERY_MS, SHARE * tookMs)
    },
    left(from) {
      start = Math.min(start, from - MARGIN_MS)
      leftAt = now()
    },
    failed() {
      start = EVERYTHING
      nextWholeAt = EVERYTHING
      leftAt = now()
    },
  }
}
