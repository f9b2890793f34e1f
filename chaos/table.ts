import { aligned } from '@sluice/shared/runtime'
import type { Result } from './run.ts'

const COLUMNS = [
  'fault',
  'acked',
  'refused',
  'ambiguous',
  'redis',
  'inbox',
  'duplicates',
  'redelivered',
  'recovery s',
  'lost',
  'twice',
  'healthy dead',
  'effect',
  'verdict',
] as const

/** The names of the columns, and one row for each run. */
export function rowsOf(results: readonly Result[]): string[][] {
  return [[...COLUMNS], ...results.map(rowOf)]
}

/** The table for a terminal, with a line for each problem below it. */
export function describeResults(results: readonly Result[]): string {
  const notes = results.flatMap((result) => problemsOf(result).map((problem) => `${result.id}  ${problem}`))
  const failed = results.filter(isFailure).length
  const impossible = results.filter(({ kind }) => kind === 'impossible').length
  const closing = `${results.length - failed - impossible} held, ${failed} failed, ${impossible} not possible here`
  return [...aligned(rowsOf(results)), ...notes, closing].join('\n')
}

/** How one run has ended, for the terminal. */
export function describeVerdict(result: Result): string {
  const verdict = result.kind === 'ran' ? `${verdictOf(result)}, ${result.seconds} s` : verdictOf(result)
  return [verdict, ...problemsOf(result)].map((line) => `     ${line}`).join('\n')
}

export function isFailure(result: Result): boolean {
  return result.kind === 'ran' && result.problems.length > 0
}

function verdictOf(result: Result): string {
  if (result.kind === 'impossible') return 'not possible here'
  return isFailure(result) ? 'FAILED' : 'held'
}

function problemsOf(result: Result): readonly string[] {
  return result.kind === 'ran' ? result.problems : [result.reason]
}

function rowOf(result: Result): string[] {
  if (result.kind === 'impossible')
    return [result.id, ...Array(COLUMNS.length - 2).fill(''), verdictOf(result)]
  const { evidence, refused, recoveryMs } = result
  return [
    result.id,
    String(result.acknowledged),
    refusals(refused),
    String(evidence.ambiguous),
    String(evidence.viaRedis),
    String(evidence.viaInbox),
    String(evidence.duplicates),
    String(evidence.redelivered),
    recoveryMs === undefined ? 'never' : (recoveryMs / 1000).toFixed(1),
    String(result.lost),
    String(result.twice),
    String(result.healthyDead),
    result.effect,
    verdictOf(result),
  ]
}

function refusals(refused: Readonly<Record<string, number>>): string {
  const list = Object.entries(refused).map(([status, count]) => `${count}× ${status.replace('_', ' ')}`)
  return list.length > 0 ? list.join(' ') : '0'
}
