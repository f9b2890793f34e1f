/** How fast the memory of each node grows, from one look to the next. */
export type Growth = {
  /** In how many minutes it is full at the rate since the last look; undefined if that is far away. */
  fullInMinutes(name: string, used: number, max: number): number | undefined
  /** The same in ms, however far away; undefined if it does not grow. */
  fullInMs(name: string, used: number, max: number): number | undefined
}

const SOON_MS = 30 * 60_000
/** A node that has just started grows fast, and is far from full. */
const LEAST_SHARE = 0.5

/**
 * @param now ms, on a clock that only goes forward
 * @param overMs compares with the earliest look that is no longer ago, not with the last one
 */
export function createGrowth(now = () => performance.now(), overMs = 0): Growth {
  const looks = new Map<string, { used: number; at: number }[]>()
  function fullInMs(name: string, used: number, max: number): number | undefined {
    const before = looks.get(name) ?? []
    const at = now()
    const recent = before.filter((look) => at - look.at <= overMs)
    const since = recent[0] ?? before.at(-1)
    looks.set(name, [...recent, { used, at }])
    if (!since || used <= since.used) return undefined
    return Math.max(0, ((max - used) / (used - since.used)) * (at - since.at))
  }
  return {
    fullInMs,
    fullInMinutes(name, used, max) {
      const ms = fullInMs(name, used, max)
      if (ms === undefined || used < LEAST_SHARE * max) return undefined
      const minutes = Math.floor(ms / 60_000)
      return ms < SOON_MS ? minutes : undefined
    },
  }
}
