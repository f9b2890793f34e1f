import { setTimeout as sleep } from 'node:timers/promises'

/** A timer set for longer goes off at once. */
export const LONGEST_WAIT_MS = 2 ** 31 - 1

export type Due<T> = { readonly item: T; readonly dueAt: number }

/**
 * Hands out items at a constant rate, by an open loop: item n is due n/rate seconds after the start, whatever became
 * of those before it. What fell due together comes together, and what is late keeps its intended time.
 * Times are `performance.now()`, ms.
 */
export async function* pace<T>(
  items: Iterator<T>,
  { ratePerSecond, durationMs = Number.POSITIVE_INFINITY, signal }: PaceOptions,
): AsyncGenerator<Due<T>[]> {
  const start = performance.now()
  for (let n = 0; !signal.aborted; ) {
    const due: Due<T>[] = []
    const now = performance.now()
    let dueAt = dueTime(n)
    for (; dueAt <= now && dueAt < start + durationMs; dueAt = dueTime(++n)) {
      const next = items.next()
      if (next.done) {
        if (due.length > 0) yield due
        return
      }
      due.push({ item: next.value, dueAt })
    }
    if (due.length > 0) yield due
    if (dueAt >= start + durationMs) return
    // Timers do not fire early, and one ms is their grain.
    const wait = Math.min(LONGEST_WAIT_MS, Math.max(1, dueAt - performance.now()))
    await sleep(wait, undefined, { signal }).catch(() => undefined)
  }

  function dueTime(n: number): number {
    return start + (n * 1000) / ratePerSecond
  }
}

type PaceOptions = {
  readonly ratePerSecond: number
  readonly durationMs?: number | undefined
  readonly signal: AbortSignal
}

/**
 * Many waits that one signal ends. A listener on the signal for each of 100,000 redeliveries would make taking one
 * away a search through all of them, so there is one listener for all.
 */
export function createWaits(signal: AbortSignal) {
  const waits = new Map<NodeJS.Timeout, (elapsed: boolean) => void>()
  signal.addEventListener('abort', () => {
    for (const [timer, resolve] of waits) {
      clearTimeout(timer)
      resolve(false)
    }
    waits.clear()
  })

  /** @returns true after so many ms, false as soon as the signal has been given */
  return function wait(ms: number): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        waits.delete(timer)
        resolve(true)
      }, ms)
      waits.set(timer, resolve)
    })
  }
}
