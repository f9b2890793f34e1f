import type { MinuteRow } from '../../db/index.ts'
import type { Flow, Processing } from './figures.ts'
import { NOT_REFUSED, SENT_AGAIN } from './outcomes.ts'

const MINUTE_MS = 60_000
const SHOWN_MINUTES = 60
const PROCESSING_MINUTES = 10

/** The start of the first minute that is shown. */
export function shownSince(now: Date): Date {
  return new Date((Math.floor(now.getTime() / MINUTE_MS) - SHOWN_MINUTES + 1) * MINUTE_MS)
}

/**
 * Adds up what all processes have counted.
 *
 * @param sources those that are named even if they have had no event
 */
export function flowOf(rows: readonly MinuteRow[], now: Date, sources: readonly string[]): Flow {
  const first = shownSince(now).getTime()
  const perMinute = Array.from({ length: SHOWN_MINUTES }, (_, index) => ({
    minute: new Date(first + index * MINUTE_MS),
    accepted: 0,
    landed: 0,
    refused: 0,
  }))
  const refused: Record<string, number> = {}
  const within: Record<string, number> = {}
  const last: Record<string, number> = {}
  let duplicates = 0
  for (const { minute, counters } of rows) {
    for (const [environment, at] of Object.entries(counters.last)) {
      last[environment] = Math.max(last[environment] ?? 0, at)
    }
    const index = (minute.getTime() - first) / MINUTE_MS
    const shown = perMinute[index]
    if (!shown) continue
    for (const [name, count] of Object.entries(counters.counts)) {
      const [metric, label = '', outcome = ''] = name.split(' ')
      if (metric === 'landSeconds' && index >= SHOWN_MINUTES - PROCESSING_MINUTES) {
        within[label] = (within[label] ?? 0) + count
      } else if (metric === 'handled') {
        if (outcome === 'landed') shown.landed += count
        // A replay of what has landed is nothing that the sender did.
        else if (/duplicate$/.test(outcome) && label !== 'replay') duplicates += count
      } else if (metric === 'answers') {
        if (outcome === 'accepted') shown.accepted += count
        if (SENT_AGAIN.includes(outcome)) shown.refused += count
        if (!isNoRefusal(outcome)) refused[outcome] = (refused[outcome] ?? 0) + count
      }
    }
  }
  const sum = (name: 'accepted' | 'landed') => perMinute.reduce((total, each) => total + each[name], 0)
  return {
    perMinute,
    lastHour: { accepted: sum('accepted'), landed: sum('landed'), duplicates, refused },
    processing: processingOf(within),
    lastEvents: Object.fromEntries(
      [...new Set([...sources, ...Object.keys(last)])].map((environment) => {
        const at = last[environment]
        return [environment, at === undefined ? null : new Date(at)]
      }),
    ),
  }
}

const isNoRefusal = (outcome: string) => (NOT_REFUSED as readonly string[]).includes(outcome)

/** @param within how many landed within so many seconds, each count with all of the shorter times */
function processingOf(within: Readonly<Record<string, number>>): Processing | null {
  const all = within['+Inf'] ?? 0
  if (all === 0) return null
  const limits = Object.keys(within)
    .map(Number)
    .filter(Number.isFinite)
    .sort((a, b) => a - b)
  const percentile = (share: number) => {
    const limit = limits.find((seconds) => (within[seconds] ?? 0) >= share * all)
    return limit === undefined ? null : limit * 1_000
  }
  return { p50Ms: percentile(0.5), p95Ms: percentile(0.95), p99Ms: percentile(0.99) }
}

const WEEKS = 4

/**
 * The median time between events in the same hour of the last four weeks, to a minute; null if fewer than two of them
 * had events.
 *
 * @param active the minutes in which an environment had events
 * @param sources those that are asked for
 */
export function usualGaps(
  active: ActiveMinutes,
  hour: Date,
  sources: readonly string[],
): Record<string, number | null> {
  return eachGaps(active, hour, sources, (gaps) => gaps[Math.floor(gaps.length / 2)] ?? null)
}

/** The longest time between events in the same hour of the last four weeks. */
export function longestGaps(
  active: ActiveMinutes,
  hour: Date,
  sources: readonly string[],
): Record<string, number | null> {
  return eachGaps(active, hour, sources, (gaps) => gaps.at(-1) ?? null)
}

type ActiveMinutes = readonly { minute: Date; environment: string }[]

/** @param choose of the times between events, the shortest first */
function eachGaps(
  active: ActiveMinutes,
  hour: Date,
  sources: readonly string[],
  choose: (gaps: number[]) => number | null,
): Record<string, number | null> {
  return Object.fromEntries(
    sources.map((environment) => {
      const weeks = Array.from({ length: WEEKS }, (_, index) => {
        const start = hour.getTime() - (index + 1) * 7 * 86_400_000
        return active
          .filter((each) => each.environment === environment)
          .map(({ minute }) => minute.getTime() - start)
          .filter((offset) => offset >= 0 && offset < 60 * MINUTE_MS)
      })
      if (weeks.filter((minutes) => minutes.length > 0).length < 2) return [environment, null]
      const gaps = weeks.flatMap((minutes) =>
        [...minutes, 60 * MINUTE_MS].map((at, index) => at - (minutes[index - 1] ?? 0)),
      )
      return [environment, choose(gaps.sort((a, b) => a - b))]
    }),
  )
}
