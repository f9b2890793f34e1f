import type { HandleResult } from './receiver.ts'

/** A job that was under way in this many crashes of its worker may be their cause. */
const SUSPECT_AFTER = 2

/**
 * Lets a suspected job run with nothing beside it, so that its next crash counts against no other job: fetching is held,
 * what is under way ends, and what comes in between is put off.
 */
export function createSolo(fetching: { hold(): void; release(): void }) {
  let underWay = 0
  let taken = false
  let whenIdle: (() => void) | undefined

  async function alone(work: () => Promise<HandleResult>): Promise<HandleResult> {
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

  /** @param crashes in how many crashes of its worker the job was under way */
  return async (crashes: number, work: () => Promise<HandleResult>): Promise<HandleResult> => {
    if (taken) return { kind: 'delayed', ms: 500 + Math.random() * 1_000 }
    if (crashes >= SUSPECT_AFTER) return alone(work)
    underWay++
    try {
      return await work()
    } finally {
      underWay--
      if (underWay === 0) whenIdle?.()
    }
  }
}
