/**
 * Keeps events from waiting for a shard that is away.
 *
 * closed → open: 5 events fail within 2 s. open → half-open: after about a second, for one call at a time. half-open →
 * closed: 3 calls in a row succeed; → open: one fails.
 */
export type Breaker = {
  /** Whether a call may be tried now. In half-open this is true once until it is told how the call went. */
  allows(): boolean
  succeeded(): void
  failed(events: number): void
  /** Open, and the time of the next try has not come. */
  readonly isRefusing: boolean
}

const MAX_FAILURES = 5
const WINDOW_MS = 2_000
const PROBE_MS = 1_000
const SUCCESSES_TO_CLOSE = 3

/** Failures and successes are told by batch. */
export function createBreaker(onChange: (open: boolean) => void): Breaker {
  // The wall clock may be set back, and the breaker would stay open for as long.
  const now = () => performance.now()
  let failures: { at: number; events: number }[] = []
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
    failed(events) {
      failures = [...failures.filter(({ at }) => at > now() - WINDOW_MS), { at: now(), events }]
      const failed = failures.reduce((sum, { events }) => sum + events, 0)
      if (nextProbe !== undefined || failed >= MAX_FAILURES) open()
    },
    get isRefusing() {
      return nextProbe !== undefined && now() < nextProbe
    },
  }
}
