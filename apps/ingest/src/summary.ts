import type { Environment } from '@sluice/shared/envelope'
import type { Log, Metrics } from '@sluice/shared/runtime'
import type { AnswerKind } from './app.ts'

const COUNT_EVERY_MS = 1_000
const LOG_EVERY = 10

/** Counts for the metrics and the log. */
export type Summary = AsyncDisposable & {
  answered(environment: Environment | 'none', outcome: AnswerKind, milliseconds?: number): void
  enqueued(via: 'redis' | 'inbox'): void
}

/**
 * Counts in plain numbers, since a labelled counter costs more than all else that is done for an answer. Once a second
 * they go into the metrics, every ten seconds into a line of the log where there were any.
 */
export function createSummary(log: Log, metrics: Metrics): Summary {
  const answers = new Map<string, number>()
  const enqueued = new Map<'redis' | 'inbox', number>()
  let logged: Record<string, number> = {}
  let ticks = 0

  function count(): void {
    for (const [name, n] of answers) {
      const [environment = '', outcome = ''] = name.split(' ')
      metrics.answers.inc({ environment, outcome }, n)
      logged[outcome] = (logged[outcome] ?? 0) + n
    }
    for (const [via, n] of enqueued) metrics.enqueued.inc({ via }, n)
    answers.clear()
    enqueued.clear()
  }

  function write(): void {
    const told = logged
    logged = {}
    if (Object.keys(told).length === 0) return
    const level = told.unavailable || told.failed ? 'warn' : 'info'
    log[level]({ answers: told }, 'answered')
  }

  const timer = setInterval(() => {
    count()
    if (++ticks % LOG_EVERY === 0) write()
  }, COUNT_EVERY_MS)
  return {
    answered(environment, outcome, milliseconds) {
      const name = `${environment} ${outcome}`
      answers.set(name, (answers.get(name) ?? 0) + 1)
      if (outcome === 'accepted' && milliseconds !== undefined)
        metrics.answerSeconds.observe(milliseconds / 1000)
    },
    enqueued: (via) => void enqueued.set(via, (enqueued.get(via) ?? 0) + 1),
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      count()
      write()
    },
  }
}
