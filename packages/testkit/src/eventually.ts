import { setTimeout as pause } from 'node:timers/promises'

/** Waits until the check returns something, and returns it. The error shows the check that never did. */
export async function eventually<T>(
  check: () => Promise<T | false | undefined> | T | false | undefined,
  limitMs = 45_000,
): Promise<T> {
  for (const limit = Date.now() + limitMs; ; await pause(25)) {
    const result = await check()
    if (result) return result
    if (Date.now() > limit) throw new Error(`not within ${limitMs} ms: ${check}`)
  }
}
