import { setTimeout as sleep } from 'node:timers/promises'

/** A timer for longer than this fires at once. */
export const LONGEST_WAIT_MS = 2 ** 31 - 1

export type Due<T> = { readonly item: T; readonly dueAt: number }

/**
 * Yields items at a constant rate, by an open loop: item n is due n/rate seconds after the start, whatever happened to
 * the items before it. Items that are due at the same time are yielded together. A late item keeps its intended time.
 * Times are those of `performance.now()`, ms.
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
    // Timers do not fire early, and their grain is 1 ms.
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
 * Many waits that one signal ends. There is one listener for all of them: with a listener for each of 100,000
 * redeliveries, the removal of one would search through all.
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

  /** @returns true after `ms` ms, or false as soon as the signal is aborted */
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
