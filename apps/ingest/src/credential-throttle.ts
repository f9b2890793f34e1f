import { sourceOf } from '@sluice/shared/runtime'

const AT_ONCE = 100
const EACH_MS = 1_000
const MAX_SOURCES = 10_000

/**
 * Gives each source of wrong credentials a bucket of tries: a hundred at once, then one a second.
 *
 * Right credentials pass from every source, also from one whose bucket is empty. A proxy that is missing in
 * TRUSTED_PROXIES makes IDWise and all strangers one source, and a throttle that did not look at the credentials would
 * let a stranger shut IDWise out. So the throttle takes only speed from a stranger who guesses, since each refusal
 * ends the connection, and reports an empty bucket once. The length of the secrets is what prevents a right guess.
 */
export type CredentialThrottle = {
  /** Counts one more request with wrong credentials. @returns true if its source has used up its tries */
  addFailure(ip: string): boolean
}

type Bucket = { readonly left: number; readonly at: number; readonly isReported: boolean }

export function createCredentialThrottle(deps: {
  /** ms, by a clock that nobody sets. */
  now(): number
  onMany(source: string): void
}): CredentialThrottle {
  // In the order of the last failure, so that the first bucket is the one to drop.
  const buckets = new Map<string, Bucket>()
  return {
    addFailure(ip) {
      const source = sourceOf(ip)
      const now = deps.now()
      const known = buckets.get(source)
      const left = known ? Math.min(AT_ONCE, known.left + (now - known.at) / EACH_MS) : AT_ONCE
      const isOver = left < 1
      if (isOver && !known?.isReported) deps.onMany(source)
      const isReported = isOver || (known?.isReported === true && left < AT_ONCE / 2)
      buckets.delete(source)
      buckets.set(source, { left: isOver ? left : left - 1, at: now, isReported })
      if (buckets.size > MAX_SOURCES) buckets.delete(buckets.keys().next().value as string)
      return isOver
    },
  }
}
