/** Lets several loops wait for one event or a time limit, without losing a ring that comes while they work. */
export type Bell = {
  ring(): void
  /** How often it has rung; note it before work, hand it to `wait` after. */
  readonly rings: number
  /** Resolves at the next ring, after `ms`, or at once where it has rung since. */
  wait(ms: number, since: number): Promise<void>
}

export function createBell(): Bell {
  const waiting = new Set<() => void>()
  let rings = 0
  return {
    ring() {
      rings++
      for (const wake of waiting) wake()
    },
    get rings() {
      return rings
    },
    wait(ms, since) {
      if (rings !== since) return Promise.resolve()
      return new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer)
          waiting.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, ms)
        waiting.add(wake)
      })
    },
  }
}
