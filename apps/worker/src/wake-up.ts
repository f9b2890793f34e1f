/** Lets loops that share work wait for it. Each `wake` is for one of them. */
export type WakeUp = {
  /** Wakes one loop, or the next one that is about to wait if none waits now. */
  wake(): void
  /** Resolves with a `wake`. */
  wait(): Promise<void>
}

export function createWakeUp(): WakeUp {
  const waiting: (() => void)[] = []
  let isPending = false
  return {
    wake() {
      const resume = waiting.shift()
      if (resume) resume()
      else isPending = true
    },
    async wait() {
      if (isPending) isPending = false
      else await new Promise<void>((resolve) => waiting.push(resolve))
    },
  }
}
