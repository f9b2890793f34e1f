import { aligned } from '@sluice/shared/runtime'
import type { Summary } from './send/simulate.ts'
import type { Progress } from './send/stats.ts'
import type { Report } from './verify/report.ts'

/** One short line for a terminal. */
export function describeProgress(progress: Progress): string {
  const { elapsedMs, events, answers, pending, latencyMs } = progress
  const seconds = (elapsedMs / 1000).toFixed(0)
  return `${seconds} s  sent ${events}  ${answersIn(answers)}  pending ${pending}  p99 ${latencyMs.p99.toFixed(1)} ms`
}

/** Lines for a person. */
export function describeSummary(summary: Summary): string[] {
  const { latencyMs: ms, elapsedMs } = summary
  return table([
    ['seed', summary.seed],
    ['sent', `${summary.events} events in ${summary.requests} requests, ${(elapsedMs / 1000).toFixed(1)} s`],
    ['answers', answersIn(summary.answers)],
    ['delivered', summary.delivered],
    ['redelivered', summary.redelivered],
    ['duplicates', summary.duplicates],
    ['given up', summary.givenUp],
    ...(summary.complete ? [] : [['unfinished (stopped)', summary.unfinished] as const]),
    [
      'latency, ms',
      `p50 ${ms.p50.toFixed(1)}  p95 ${ms.p95.toFixed(1)}  p99 ${ms.p99.toFixed(1)}  max ${ms.max.toFixed(1)}`,
    ],
  ])
}

/** Lines for a person. The findings quote text that others have written. */
export function describeReport(report: Report): string[] {
  const lines = table([
    ['requests', report.requests],
    ['events sent', report.sent],
    ['acknowledged', report.acknowledged],
    ['landed', report.landed],
    ['missing', report.missing],
    ['mismatched bytes', report.mismatched],
    ['rows with altered columns', report.alteredRows],
    ['deliveries counted too often', report.overcounted],
    ['landed twice', report.landedTwice],
    ['landed without acknowledgement', report.landedUnacknowledged],
    ['rows nobody sent', `${report.nobodySent}, and ${report.otherTimes} of other times`],
    ['journeys', report.journeys],
    ['journeys that differ', `${report.journeysDiffering}, with ${report.leftOpen} fields left open`],
    ['dead letters', report.deadLetters],
    ['altered lines of the ledger', report.alteredLines.length],
  ])
  const notes = [
    ...(report.ledgerEnds
      ? []
      : [
          'The ledger breaks off: its run crashed, or its last lines were removed. Their content cannot be checked.',
        ]),
    ...(report.landedBefore > 0
      ? [`${report.landedBefore} events had landed before the run began; use a new seed for each run.`]
      : []),
    ...(report.nobodySent > 0
      ? ['Somebody else has written to this database during the run, or rows were altered.']
      : []),
    ...report.findings,
    closing(report),
  ]
  return [...lines, ...notes]
}

function closing({ ok, acknowledged }: Report): string {
  if (!ok) return 'Not as it should be.'
  return acknowledged > 0
    ? 'All that was acknowledged has landed once, unaltered.'
    : 'Nothing was acknowledged.'
}

function answersIn(answers: Readonly<Record<string, number>>): string {
  const list = Object.entries(answers).map(([name, count]) => `${name}: ${count}`)
  return list.length > 0 ? list.join(', ') : 'no answers'
}

function table(rows: readonly (readonly [string, string | number])[]): string[] {
  return aligned(rows.map(([name, value]) => [name, String(value)]))
}
