/**
 * Exponential backoff with equal jitter: `baseMs` is doubled with each attempt up to `maxMs`, and the delay is between
 * half and all of that, ms.
 */
export function backoffMs(attempt: number, { baseMs, maxMs }: { baseMs: number; maxMs: number }): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30))
  return full / 2 + (Math.random() * full) / 2
}

/** Rejects with a DeadlineError when the work takes longer than `ms`. The work itself is not stopped. */
export async function withDeadline<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new DeadlineError(`${what} took longer than ${ms} ms`)), ms)
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** It is unknown whether the work was done, or will be. */
export class DeadlineError extends Error {
  override name = 'DeadlineError'
  readonly code = 'ETIMEDOUT'
}
