/**
 * Lets a suspected job run with nothing beside it, so that its next crash counts against no other job: fetching is held,
 * what is under way ends, and what comes in between is put off.
 */
export function createSolo(fetching: { hold(): void; release(): void }) {
  let underWay = 0
  let taken = false
  let whenIdle: (() => void) | undefined

  async function alone<Result>(work: () => Promise<Result>): Promise<Result> {
    taken = true
    fetching.hold()
    try {
      if (underWay > 0) await new Promise<void>((resolve) => (whenIdle = resolve))
      return await work()
    } finally {
      taken = false
      fetching.release()
    }
  }

  /** @returns undefined where something else runs alone: the work is to be put off */
  return async <Result>(isSuspect: boolean, work: () => Promise<Result>): Promise<Result | undefined> => {
    if (taken) return undefined
    if (isSuspect) return alone(work)
    underWay++
    try {
      return await work()
    } finally {
      underWay--
      if (underWay === 0) whenIdle?.()
    }
  }
}
