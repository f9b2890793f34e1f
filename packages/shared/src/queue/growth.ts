/** How fast the memory of each node grows, from one check to the next. */
export type Growth = {
  /** In how many minutes it is full at the rate since the last check; undefined if that is far away. */
  fullInMinutes(name: string, used: number, max: number): number | undefined
}

const SOON_MINUTES = 30
/** A node that has just started grows fast, and is far from full. */
const LEAST_SHARE = 0.5

/** @param now ms, on a clock that only goes forward */
export function createGrowth(now = () => performance.now()): Growth {
  const before = new Map<string, { used: number; at: number }>()
  return {
    fullInMinutes(name, used, max) {
      const last = before.get(name)
      const at = now()
      before.set(name, { used, at })
      if (!last || used <= last.used || used < LEAST_SHARE * max) return undefined
      const minutes = Math.floor(((max - used) / (used - last.used)) * ((at - last.at) / 60_000))
      return minutes < SOON_MINUTES ? Math.max(0, minutes) : undefined
    },
  }
}
