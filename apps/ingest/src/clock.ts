import { type Check, MAX_SKEW_MS } from '@sluice/shared/runtime'

type Clock = {
  /** ms since 1970: by this machine's clock, or by that of Postgres if this machine's is known to be wrong. */
  now(): number
  /** Takes from checks how far Postgres' clock is ahead, and returns the checks. */
  adjust(checks: Check[]): Check[]
}

/**
 * The clock of the time of receipt. This time decides between events of a journey that several ingests received, so
 * Postgres' clock counts if their machines disagree. From the last check on its time is counted by a monotonic clock:
 * the machine's own clock may be set right at any moment, and would then be corrected twice.
 */
export function createClock({
  wall = Date.now,
  monotonic = () => performance.now(),
}: {
  wall?: () => number
  monotonic?: () => number
} = {}): Clock {
  /** ms to add to the monotonic clock; undefined while the machine's clock is right. */
  let offset: number | undefined
  return {
    now: () => (offset === undefined ? wall() : Math.round(monotonic() + offset)),
    adjust(checks) {
      // The last offset holds while Postgres is away.
      const skewMs = checks.find(({ name, skewMs }) => name === 'Postgres' && skewMs !== undefined)?.skewMs
      if (skewMs !== undefined) {
        offset = Math.abs(skewMs) < MAX_SKEW_MS ? undefined : wall() + skewMs - monotonic()
      }
      return checks
    },
  }
}
