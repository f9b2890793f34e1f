const MINUTE_MS = 60_000

/**
 * IDWise sends an event again so long after each try that failed. Its "Webhook FAQ" speaks of intervals, so these are
 * gaps. They can be read as times after the first try as well: what waits for a redelivery goes by the gaps, and what
 * wakes people by the earlier end.
 */
const RETRIES_AFTER_MS = [5, 10, 15].map((minutes) => minutes * MINUTE_MS)

/** The longest time from the first try of an event to its last one: 30 minutes. An event can arrive so much late. */
export const REDELIVERY_SPAN_MS = RETRIES_AFTER_MS.reduce((sum, ms) => sum + ms)

/** For how long after the first try IDWise tries an event in either reading: 15 minutes. */
export const SURE_SPAN_MS = Math.max(...RETRIES_AFTER_MS)

/** When IDWise may give up at the earliest. @param givesUpAt when it does if it waits between its tries */
export const sureUntil = (givesUpAt: Date) =>
  new Date(givesUpAt.getTime() - REDELIVERY_SPAN_MS + SURE_SPAN_MS)

/**
 * How long a redelivery is expected: an hour, which leaves as much time again for slow answers and clocks that differ.
 * A finished job stays so long in Redis, so that a redelivery finds it. A body without event id that comes again
 * within this time is the same event.
 */
export const REDELIVERY_WINDOW_MS = 2 * REDELIVERY_SPAN_MS

/** The times of all four tries, from the first one on, ms. */
const TRIES_MS = [0, 1, 2, 3].map((retries) =>
  RETRIES_AFTER_MS.slice(0, retries).reduce((sum, ms) => sum + ms, 0),
)

/**
 * When IDWise will send a refused event again, ms since 1970. The times are counted from the last refusal: its distance
 * from the first one shows which try it was, also if tries between them reached no ingest.
 *
 * @returns the next tries in order; none after the last one
 */
export function nextTries({ first, last }: { first: number; last: number }): number[] {
  const distance = (try_: number) => Math.abs(last - first - try_)
  const seen = TRIES_MS.indexOf(TRIES_MS.toSorted((a, b) => distance(a) - distance(b))[0] as number)
  return TRIES_MS.slice(seen + 1).map((try_) => last + try_ - (TRIES_MS[seen] as number))
}
