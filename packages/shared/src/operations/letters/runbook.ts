import type { DeadLetterReason } from '../../disposition.ts'

/** What to do about dead letters of a reason, in one sentence. */
const RUNBOOK: Readonly<Record<DeadLetterReason, string>> = {
  unreadable:
    'Another release wrote it, or somebody by hand: replay it with the release that knows it, or discard it.',
  rejected_by_database:
    'Postgres refuses the row: find the constraint, trigger or column in the error, change it, then replay.',
  conflict:
    'IDWise sent another body under an id that is stored, and the first one stays: compare both, then discard.',
  attempts_exhausted:
    'It failed eight times while others landed: fix what the error names, then replay a sample first.',
  worker_crashed:
    'Its workers died with it: look for their last lines and for memory limits, then replay one alone.',
}

/** @param reason as it is stored; null for one of another release */
export function runbookOf(reason: string): string | null {
  return (RUNBOOK as Readonly<Record<string, string>>)[reason] ?? null
}
