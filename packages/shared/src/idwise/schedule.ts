const MINUTE_MS = 60_000

/** IDWise sends an event again so long after each try that failed ("Webhook FAQ"). */
const RETRIES_AFTER_MS = [5, 10, 15].map((minutes) => minutes * MINUTE_MS)

/** The longest time from the first try of an event to its last one: 30 minutes. An event can arrive so much late. */
export const REDELIVERY_SPAN_MS = RETRIES_AFTER_MS.reduce((sum, ms) => sum + ms)

/**
 * How long a redelivery is expected: an hour, which leaves as much time again for slow answers and clocks that differ.
 * A finished job stays so long in Redis, so that a redelivery finds it. A body without event id that comes again
 * within this time is the same event.
 */
export const REDELIVERY_WINDOW_MS = 2 * REDELIVERY_SPAN_MS
