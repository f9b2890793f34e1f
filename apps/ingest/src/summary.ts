import type { Environment } from '@sluice/shared/idwise'
import type { Log, Metrics } from '@sluice/shared/runtime'
import type { AnswerKind } from './app.ts'

const EVERY_MS = 10_000

/** Counts answers for the metrics, and logs one line per ten seconds in which there were any. */
export function createSummary(
  log: Log,
  metrics: Metrics,
): AsyncDisposable & {
  count(environment: Environment | 'none', kind: AnswerKind, milliseconds?: number): void
} {
  let counts: Partial<Record<AnswerKind, number>> = {}
  function flush(): void {
    const answers = counts
    counts = {}
    if (Object.keys(answers).length === 0) return
    const level = answers.unavailable || answers.failed ? 'warn' : 'info'
    log[level]({ answers }, 'answered')
  }
  const timer = setInterval(flush, EVERY_MS)
  return {
    count(environment, outcome, milliseconds) {
      counts[outcome] = (counts[outcome] ?? 0) + 1
      metrics.answers.inc({ environment, outcome })
      if (outcome === 'accepted' && milliseconds !== undefined)
        metrics.answerSeconds.observe(milliseconds / 1000)
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      flush()
    },
  }
}
