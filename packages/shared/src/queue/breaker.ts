/**
 * Keeps requests from waiting for a store that is away.
 *
 * closed → open: 5 failures within 2 s. open → half-open: after about a second, for one call at a time. half-open →
 * closed: 3 calls in a row succeed; → open: one fails.
 */
export type Breaker = {
  /** Whether a call may be tried now. In half-open this is true once until it is told how the call went. */
  allows(): boolean
  succeeded(): void
  failed(): void
  readonly isOpen: boolean
}

const MAX_FAILURES = 5
const WINDOW_MS = 2_000
const PROBE_MS = 1_000
const SUCCESSES_TO_CLOSE = 3

/** @param now ms by a clock that only goes forward */
export function createBreaker(
  onChange: (open: boolean) => void,
  now: () => number = () => performance.now(),
): Breaker {
  let failures: number[] = []
  let successes = 0
  let nextProbe: number | undefined

  function open(): void {
    const wasClosed = nextProbe === undefined
    successes = 0
    // Spread, so that many ingests do not probe in step.
    nextProbe = now() + PROBE_MS * (0.7 + Math.random() * 0.6)
    if (wasClosed) onChange(true)
  }

  return {
    allows() {
      if (nextProbe === undefined) return true
      if (now() < nextProbe) return false
      nextProbe = now() + PROBE_MS
      return true
    },
    succeeded() {
      failures = []
      if (nextProbe === undefined) return
      // The next call may go at once: it is one, whatever the load.
      nextProbe = ++successes < SUCCESSES_TO_CLOSE ? now() : undefined
      if (nextProbe === undefined) onChange(false)
    },
    failed() {
      failures = [...failures.filter((at) => at > now() - WINDOW_MS), now()]
      if (nextProbe !== undefined || failures.length >= MAX_FAILURES) open()
    },
    get isOpen() {
      return nextProbe !== undefined
    },
  }
}
