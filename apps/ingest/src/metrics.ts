import type { EventKind } from '@sluice/shared/idwise'
import type { Log, Metrics } from '@sluice/shared/runtime'
import type { CountAnswer } from './refusals.ts'

const COUNT_EVERY_MS = 1_000
const LOG_EVERY = 10

type IngestMetrics = AsyncDisposable & {
  answered: CountAnswer
  enqueued(via: 'redis' | 'inbox'): void
  received(environment: string, kind: EventKind): void
  /** When each environment had its last accepted event, to a second; ms since 1970. */
  readonly lastAccepted: Readonly<Record<string, number>>
  /** When no store took an event for the last time; null if one always did. */
  readonly lastRefused: number | null
}

/**
 * Counts in plain numbers, since a labelled counter costs more than all other work for an answer. Once a second the
 * numbers go into the metrics, and every ten seconds, unless all are zero, into a line of the log.
 */
export function createIngestMetrics(log: Log, metrics: Metrics, now: () => number): IngestMetrics {
  const answers = new Map<string, number>()
  const enqueued = new Map<'redis' | 'inbox', number>()
  const events = new Map<string, Map<EventKind, number>>()
  let unlogged: Record<string, number> = {}
  let ticks = 0
  const lastAccepted: Record<string, number> = {}
  let lastRefused: number | null = null

  function count(): void {
    for (const [name, n] of answers) {
      const [environment = '', outcome = ''] = name.split(' ')
      metrics.answers.inc({ environment, outcome }, n)
      if (outcome === 'accepted') lastAccepted[environment] = now()
      if (outcome === 'unavailable') lastRefused = now()
      unlogged[outcome] = (unlogged[outcome] ?? 0) + n
    }
    for (const [via, n] of enqueued) metrics.enqueued.inc({ via }, n)
    for (const [environment, kinds] of events) {
      for (const [kind, n] of kinds) metrics.events.inc({ environment, kind }, n)
      kinds.clear()
    }
    answers.clear()
    enqueued.clear()
  }

  function write(): void {
    const counts = unlogged
    unlogged = {}
    if (Object.keys(counts).length === 0) return
    const level = counts.unavailable || counts.failed ? 'warn' : 'info'
    log[level]({ answers: counts }, 'answered')
  }

  const timer = setInterval(() => {
    count()
    if (++ticks % LOG_EVERY === 0) write()
  }, COUNT_EVERY_MS)
  return {
    lastAccepted,
    get lastRefused() {
      return lastRefused
    },
    answered(environment, label, milliseconds) {
      const name = `${environment} ${label}`
      answers.set(name, (answers.get(name) ?? 0) + 1)
      if (milliseconds !== undefined) metrics.answerSeconds.observe(milliseconds / 1000)
    },
    enqueued: (via) => void enqueued.set(via, (enqueued.get(via) ?? 0) + 1),
    received(environment, kind) {
      const kinds = events.get(environment) ?? new Map<EventKind, number>()
      events.set(environment, kinds)
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      count()
      write()
    },
  }
}
