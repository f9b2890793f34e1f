/** Statements that insert rows may be under way so long, as a rule. */
const MARGIN_MS = 1_000
const WHOLE_EVERY_MS = 5_000
/** A look at everything takes at most so much of the time. */
const SHARE = 20

/**
 * Up to when the inbox has been emptied. What was taken stays in the index until Postgres has cleaned it up, which it
 * cannot while anybody holds an old snapshot; so each look begins where the last one has ended, and some seconds apart
 * one looks at everything: rows that were held, or came late, or that a dead worker had taken.
 */
export type Floor = {
  /** Where to begin, ms since 1970 by Postgres' clock. */
  next(): number
  /** A look from `since` has left nothing that was due before `to`. */
  emptied(look: { since: number; to: number; tookMs: number }): void
  /** What was taken may be there again. */
  failed(): void
}

export function createFloor(now: () => number = () => performance.now()): Floor {
  const everything = Number.NEGATIVE_INFINITY
  let floor = everything
  let wholeAt = everything
  return {
    next() {
      if (now() < wholeAt) return floor
      wholeAt = now() + WHOLE_EVERY_MS
      return everything
    },
    emptied({ since, to, tookMs }) {
      floor = Math.max(floor, to - MARGIN_MS)
      if (since === everything) wholeAt = now() + Math.max(WHOLE_EVERY_MS, SHARE * tookMs)
    },
    failed() {
      floor = everything
      wholeAt = everything
    },
  }
}
