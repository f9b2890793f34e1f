import { createHistogram } from 'node:perf_hooks'
import type { Answer } from './send.ts'

export type Progress = {
  /** Different events that were sent at least once, and the requests that were made for them. */
  readonly events: number
  readonly requests: number
  /** Requests by their end: a status such as `200`, or `timed_out`, `refused`… */
  readonly answers: Readonly<Record<string, number>>
  /** Events that were answered 200 in time. */
  readonly delivered: number
  readonly redelivered: number
  readonly duplicates: number
  readonly givenUp: number
  /** Events that were under way, or waiting for a redelivery, when the run was stopped. */
  readonly unfinished: number
  /** Events under way or waiting for a redelivery. */
  readonly pending: number
  /** From the intended time to the end of the answer, or of the wait for it. */
  readonly latencyMs: {
    readonly p50: number
    readonly p95: number
    readonly p99: number
    readonly max: number
  }
  readonly elapsedMs: number
}

export type Stats = ReturnType<typeof createStats>

export function createStats() {
  const start = performance.now()
  const latencyMicros = createHistogram()
  const answers: Record<string, number> = {}
  const count = {
    events: 0,
    requests: 0,
    delivered: 0,
    redelivered: 0,
    duplicates: 0,
    givenUp: 0,
    unfinished: 0,
  }

  function answered(answer: Answer): void {
    const name = answer.kind === 'answered' ? String(answer.status) : answer.kind
    answers[name] = (answers[name] ?? 0) + 1
    count.requests++
  }

  function progress(): Progress {
    const at = (percent: number) => latencyMicros.percentile(percent) / 1000
    const pending = count.events - count.delivered - count.givenUp - count.unfinished
    const latencyMs =
      latencyMicros.count === 0
        ? { p50: 0, p95: 0, p99: 0, max: 0 }
        : { p50: at(50), p95: at(95), p99: at(99), max: latencyMicros.max / 1000 }
    return { ...count, pending, answers: { ...answers }, latencyMs, elapsedMs: performance.now() - start }
  }

  return {
    count,
    answered,
    took: (ms: number) => latencyMicros.record(Math.max(1, Math.round(ms * 1000))),
    progress,
  }
}
