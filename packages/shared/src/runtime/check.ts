export type StoreName = 'Redis' | 'Postgres'

/** The alerts that a check can give: headings of docs/runbooks.md. */
export const CHECK_ALERTS = [
  'store-emptied',
  'store-read-only',
  'store-full',
  'replica-gone',
  'backup-behind',
] as const
export type CheckAlert = (typeof CHECK_ALERTS)[number]

/**
 * The result of one check. `fail`: a guarantee is broken, or Sluice cannot work. `warn`: that may happen. Both come
 * with advice.
 */
export type Check = {
  /** The store or the thing that was checked. */
  name: StoreName | (string & {})
  level: 'ok' | 'warn' | 'fail'
  text: string
  advice?: string
  /** The store may lose events that were answered 200: SLUICE_DURABILITY=strict refuses it. */
  unsafe?: StoreName
  /**
   * How far the clock of the store is ahead of this machine's, ms. Undefined if the round trip took too long to know.
   */
  skewMs?: number
  /** The store would accept events that no worker could fetch: an ingest does not use it. */
  unusable?: StoreName
  /** People are told of it under this name. */
  alert?: CheckAlert
}

/** A check of which people are told, as processes record it. */
export type Finding = {
  readonly alert: CheckAlert
  readonly name: string
  readonly text: string
  readonly advice: string
}

export const ok = (name: string, text: string): Check => ({ name, level: 'ok', text })
export const warn = (name: string, text: string, advice: string): Check => ({
  name,
  level: 'warn',
  text,
  advice,
})
export const fail = (name: string, text: string, advice: string): Check => ({
  name,
  level: 'fail',
  text,
  advice,
})

export const unsafe = (store: StoreName, check: Check): Check => ({ ...check, unsafe: store })
export const unusable = (store: StoreName, check: Check): Check => ({ ...check, unusable: store })

/** Lets people be told of a check that is not ok. */
export const alerting = (alert: CheckAlert, check: Check): Check =>
  check.level === 'ok' ? check : { ...check, alert }

/** Clocks that differ by less are right. */
export const MAX_SKEW_MS = 2_000
const MAX_ROUND_TRIP_MS = 1_000

/** Compares the clock of a store (ms since 1970) with this machine's. Half of the round trip is taken into account. */
export async function checkClock(name: string, storeTime: () => Promise<number>): Promise<Check> {
  const before = Date.now()
  const began = performance.now()
  const there = await storeTime()
  const roundTripMs = performance.now() - began
  const skewMs = Math.round(there - (before + roundTripMs / 2))
  const text = `clock differs by ${Math.abs(skewMs)} ms`
  const check =
    Math.abs(skewMs) < MAX_SKEW_MS
      ? ok(name, text)
      : warn(
          name,
          text,
          'Synchronise the clocks of both machines (NTP): delays and locks are counted in time.',
        )
  return roundTripMs < MAX_ROUND_TRIP_MS ? { ...check, skewMs } : check
}
