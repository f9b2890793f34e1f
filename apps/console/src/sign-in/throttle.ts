import { sourceOf } from '@sluice/shared/runtime'

const MOST = 5
const SPAN_MS = 15 * 60_000
const MAX_SOURCES = 10_000

/** Allows five wrong secrets in 15 minutes, counted for each user and for each source of requests. */
export type Throttle = {
  /**
   * Counts a try before its secret is compared, so that many at once do not pass.
   *
   * @returns false if there were too many; else the try counts as wrong until `forgive` is called
   */
  begin(user: string, ip: string): boolean
  /** Takes a try back, since its secret was right. */
  forgive(user: string, ip: string): void
}

/** @param now ms, by a clock that nobody sets */
export function createThrottle(now: () => number): Throttle {
  const failures = new Map<string, number[]>()
  const recent = (name: string) => (failures.get(name) ?? []).filter((at) => now() - at < SPAN_MS)
  const names = (user: string, ip: string) => [`user ${user.slice(0, 100)}`, `source ${sourceOf(ip)}`]
  return {
    begin(user, ip) {
      if (names(user, ip).some((name) => recent(name).length >= MOST)) return false
      for (const name of names(user, ip)) {
        const times = [...recent(name), now()].slice(-MOST)
        // In the order of the last failure, so that the first entry is the one to drop.
        failures.delete(name)
        failures.set(name, times)
        if (failures.size > MAX_SOURCES) failures.delete(failures.keys().next().value as string)
      }
      return true
    },
    forgive(user, ip) {
      for (const name of names(user, ip)) failures.set(name, recent(name).slice(0, -1))
    },
  }
}
