import type { DeadLetterReason, Failure } from '@sluice/shared/db'

/** What a made-up event of the same shape does at the same moment: it lands, or fails as well. */
export type Comparison = 'lands' | 'fails'

/** What becomes of an event that fails alone: `wait` uses up no attempt, `retry` does. */
export type Verdict =
  | { readonly kind: 'wait' }
  | { readonly kind: 'retry' }
  | { readonly kind: 'bury'; readonly reason: DeadLetterReason }

const WAIT: Verdict = { kind: 'wait' }

/** An event is guilty only where it fails alone while others of its shape land, whatever the code says. */
export function verdictOf(failure: Failure, isLastAttempt: boolean, comparison: Comparison): Verdict {
  if (comparison === 'fails') return WAIT
  switch (failure) {
    case 'infrastructure':
    case 'passing':
      return WAIT
    case 'event':
      return { kind: 'bury', reason: 'rejected_by_database' }
    case 'unknown':
      return isLastAttempt ? { kind: 'bury', reason: 'attempts_exhausted' } : { kind: 'retry' }
    default:
      return failure satisfies never
  }
}
