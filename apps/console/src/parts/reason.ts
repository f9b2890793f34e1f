import type { DeadLetterReason } from '@sluice/shared/disposition'
import { type Html, html } from '../html.ts'

const REASONS: Readonly<Record<DeadLetterReason, readonly [name: string, colour: 'bad' | 'wait']>> = {
  unreadable: ['Unreadable', 'bad'],
  rejected_by_database: ['Rejected by the database', 'bad'],
  conflict: ['Conflict', 'wait'],
  attempts_exhausted: ['Attempts exhausted', 'bad'],
  worker_crashed: ['Worker crashed', 'bad'],
}

export function reasonName(reason: string): string {
  return REASONS[reason as DeadLetterReason]?.[0] ?? reason
}

/** Why an event is a dead letter, in its colour. */
export function reasonOf(reason: string): Html {
  return html`<span class="${REASONS[reason as DeadLetterReason]?.[1] ?? 'bad'}">${reasonName(reason)}</span>`
}
