import { sourceOf } from './address.ts'

const AT_ONCE = 100
const EACH_MS = 1_000
const MAX_SOURCES = 10_000

/**
 * A bucket for each source of wrong credentials: a hundred at once, then one a second.
 *
 * The credentials are compared in any case, and right ones pass, also from a source whose bucket is empty: a proxy that is
 * not in TRUSTED_PROXIES is one source for IDWise and for everybody who tries, so that to look away would let a stranger
 * shut IDWise out. What this takes from whoever guesses is the pace, since each refusal ends its connection, and the noise:
 * a bucket that runs empty is told once. That a guess succeeds is for the length of the secrets to prevent.
 */
export type CredentialThrottle = {
  /** Notes one more. True where the source has had its share. */
  note(ip: string): boolean
}

export function createCredentialThrottle(deps: {
  now(): number
  onMany(source: string): void
}): CredentialThrottle {
  // By the time of their last failure, so that the first is the one to forget.
  const buckets = new Map<string, { left: number; at: number; told: boolean }>()
  return {
    note(ip) {
      const source = sourceOf(ip)
      const now = deps.now()
      const known = buckets.get(source)
      const left = known ? Math.min(AT_ONCE, known.left + (now - known.at) / EACH_MS) : AT_ONCE
      const isOver = left < 1
      if (isOver && !known?.told) deps.onMany(source)
      const told = isOver || (known?.told === true && left < AT_ONCE / 2)
      buckets.delete(source)
      buckets.set(source, { left: isOver ? left : left - 1, at: now, told })
      if (buckets.size > MAX_SOURCES) buckets.delete(buckets.keys().next().value as string)
      return isOver
    },
  }
}
