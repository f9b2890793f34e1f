/** Wakes loops that share work: each ring one of them, or the next that would wait. */
export type WakeUp = {
  ring(): void
  /** Resolves at a ring, after `ms`, or at once where it has rung for nobody. */
  wait(ms: number): Promise<void>
}

export function createWakeUp(): WakeUp {
  const waiting = new Set<() => void>()
  let isRung = false
  return {
    ring() {
      const [wake] = waiting
      if (wake) wake()
      else isRung = true
    },
    wait(ms) {
      if (isRung) {
        isRung = false
        return Promise.resolve()
      }
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
