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
  next(): Look
  /** A look has left nothing that was due before `to`, ms since 1970 by Postgres' clock, and took so long to find it. */
  emptied(look: Look, result: { to: number; tookMs: number }): void
  /**
   * A look has left some that were due after `from`: it held them, so that those which went on meanwhile did not see them.
   */
  left(from: number): void
  /** What was taken may be there again. */
  failed(): void
}

/** `since`: where it begins, ms since 1970 by Postgres' clock. */
export type Look = { readonly since: number; readonly beganAt: number }

const EVERYTHING = Number.NEGATIVE_INFINITY

export function createFloor(now: () => number = () => performance.now()): Floor {
  let floor = EVERYTHING
  let wholeAt = EVERYTHING
  let leftAt = EVERYTHING
  return {
    next() {
      const isWhole = now() >= wholeAt
      if (isWhole) wholeAt = now() + WHOLE_EVERY_MS
      return { since: isWhole ? EVERYTHING : floor, beganAt: now() }
    },
    emptied({ since, beganAt }, { to, tookMs }) {
      if (beganAt > leftAt) floor = Math.max(floor, to - MARGIN_MS)
      if (since === EVERYTHING) wholeAt = now() + Math.max(WHOLE_EVERY_MS, SHARE * tookMs)
    },
    left(from) {
      floor = Math.min(floor, from - MARGIN_MS)
      leftAt = now()
    },
    failed() {
      floor = EVERYTHING
      wholeAt = EVERYTHING
      leftAt = now()
    },
  }
}
