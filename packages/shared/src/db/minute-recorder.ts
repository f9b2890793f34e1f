import { withDeadline } from '../runtime/backoff.ts'
import type { Finding } from '../runtime/check.ts'
import { describeError } from '../runtime/errors.ts'
import { every } from '../runtime/every.ts'
import type { Log } from '../runtime/log.ts'
import type { Totals } from '../runtime/metrics.ts'
import { type MinuteCounters, type MinuteRow, readMinutes, writeMinutes } from './minutes.ts'
import type { Db } from './pool.ts'

const EVERY_MS = 5_000
const MINUTE_MS = 60_000
/** While Postgres is away, the minutes of a day are kept. */
const MOST_MINUTES = 1_440
const END_LIMIT_MS = 1_000

/**
 * Writes every 5 s what this process has counted in the present minute, and once more when it is disposed. It takes the
 * growth of the metrics, so that counting costs nothing further. A failed write disturbs nobody: its minutes are
 * written with a later one.
 *
 * @param deps.last the last accepted event of each environment that this process knows of, ms since 1970
 * @param deps.lastRefused when this process last had no store for an event, ms since 1970
 * @param deps.unsafe what the checks say of stores that may lose events
 * @param deps.findings what they say of which people are told
 */
export function recordMinutes(deps: {
  db: Db
  process: string
  role: MinuteRow['role']
  totals(): Promise<Totals>
  last?(): Readonly<Record<string, number>>
  lastRefused?(): number | null
  unsafe(): readonly string[]
  findings?(): readonly Finding[]
  log: Log
  now?(): number
  everyMs?: number
}): AsyncDisposable {
  const { db, process, role, now = Date.now } = deps
  const minutes = new Map<number, Record<string, number>>()
  let before: Totals | undefined
  let last: Readonly<Record<string, number>> = {}
  let hasRead = role === 'worker'

  async function count(): Promise<number> {
    const totals = await deps.totals()
    const minute = Math.floor(now() / MINUTE_MS) * MINUTE_MS
    const counts = minutes.get(minute) ?? {}
    for (const [name, total] of Object.entries(totals)) {
      const grown = total - (before?.[name] ?? 0)
      if (grown > 0) counts[name] = (counts[name] ?? 0) + grown
    }
    before = totals
    minutes.set(minute, counts)
    for (const oldest of minutes.keys()) {
      if (minutes.size <= MOST_MINUTES) break
      minutes.delete(oldest)
    }
    return minute
  }

  async function write(): Promise<void> {
    const present = await count()
    if (!hasRead) {
      for (const { counters } of await readMinutes(db.pool, new Date(present)))
        last = later(last, counters.last)
      hasRead = true
    }
    last = later(last, deps.last?.() ?? {})
    const written = [...minutes.keys()]
    const [unsafe, lastRefused] = [[...deps.unsafe()], deps.lastRefused?.() ?? null]
    const findings = [...(deps.findings?.() ?? [])]
    const rows = [...minutes].map(([minute, counts]): MinuteRow => {
      const counters: MinuteCounters = { counts, last, lastRefused, unsafe, findings }
      return { minute: new Date(minute), process, role, counters }
    })
    await writeMinutes(db.pool, rows)
    for (const minute of written) if (minute !== present) minutes.delete(minute)
  }

  const writing = every(deps.everyMs ?? EVERY_MS, write, {
    onError: (error) => deps.log.debug({ error: describeError(error) }, 'the counts of this minute wait'),
  })
  return {
    async [Symbol.asyncDispose]() {
      await writing[Symbol.asyncDispose]()
      await withDeadline(write(), END_LIMIT_MS, 'writing the last minute').catch(() => {})
    },
  }
}

/** The later time of each environment. */
function later(
  some: Readonly<Record<string, number>>,
  others: Readonly<Record<string, number>>,
): Record<string, number> {
  const merged = { ...some }
  for (const [name, at] of Object.entries(others)) merged[name] = Math.max(merged[name] ?? 0, at)
  return merged
}
