import type { Preview } from '@sluice/shared/operations'
import { print } from '../output.ts'

/** Prints what the first letters of an operation would do. */
export function printPreview({ letters, journeys }: Preview): void {
  if (letters.length > 0) print(`The first ${letters.length}, tried and taken back:`)
  for (const { id, event, outcome, error } of letters) {
    print(
      `  ${id}  ${event ?? '(no event name)'}: ${outcome === 'landed' ? 'would land' : outcome.replaceAll('_', ' ')}${error ? `: ${error}` : ''}`,
    )
  }
  for (const { environment, journeyId, isNew, changes } of journeys) {
    print(`  journey ${journeyId} · ${environment}${isNew ? ' (new)' : ''}`)
    for (const { field, from, to } of changes) print(`      ${field}: ${from ?? '-'} → ${to ?? '-'}`)
  }
}
