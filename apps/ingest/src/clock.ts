import type { Check } from '@sluice/shared/runtime'

export type Clock = {
  /** ms since 1970: by this machine's clock, or, where that is known to be wrong, by Postgres'. */
  now(): number
  /** Takes note of what a check has found of Postgres' clock, and hands the checks on. */
  heard(checks: Check[]): Check[]
}

const MAX_SKEW_MS = 2_000

/**
 * The time at which events arrive. It decides between events of a journey that came by several ingests, so where their
 * machines disagree Postgres' clock counts. It is counted on from the last check by a clock that nobody sets: the
 * machine's own may be set right at any moment, and would then be corrected twice.
 */
export function createClock({
  wall = Date.now,
  monotonic = () => performance.now(),
}: {
  wall?: () => number
  monotonic?: () => number
} = {}): Clock {
  /** What to add to the monotonic clock; undefined while the machine's own is right. */
  let offset: number | undefined
  return {
    now: () => (offset === undefined ? wall() : Math.round(monotonic() + offset)),
    heard(checks) {
      // While Postgres is away the last offset holds.
      const skewMs = checks.find(({ name, skewMs }) => name === 'Postgres' && skewMs !== undefined)?.skewMs
      if (skewMs !== undefined) {
        offset = Math.abs(skewMs) < MAX_SKEW_MS ? undefined : wall() + skewMs - monotonic()
      }
      return checks
    },
  }
}
