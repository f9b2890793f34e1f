export type StoreName = 'Redis' | 'Postgres'

/**
 * One thing that was looked at. `fail` breaks a promise or stops Sluice from working, `warn` may; both say what to do.
 */
export type Check = {
  /** A store, or what else was looked at. */
  name: StoreName | (string & {})
  level: 'ok' | 'warn' | 'fail'
  text: string
  advice?: string
  /** The store may lose events that were answered 200; SLUICE_DURABILITY=strict refuses it. */
  unsafe?: StoreName
  /** How far the store's clock is ahead of this machine's, ms, where it could be measured to half a second. */
  skewMs?: number
  /** The store would take events that nobody could fetch from it: an ingest leaves it out. */
  unusable?: StoreName
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

const MAX_SKEW_MS = 2_000
const MAX_ROUND_TRIP_MS = 1_000

/** Compares a store's clock (ms since 1970) with this machine's, half of the round trip allowed for. */
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
