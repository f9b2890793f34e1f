import type { DeadLetterState, OperationState } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'

const COLOURS: Readonly<Record<DeadLetterState | OperationState, string>> = {
  open: 'bad',
  replaying: 'wait',
  resolved: 'good',
  discarded: 'soft',
  sampling: 'wait',
  waiting_for_go: 'wait',
  running: 'wait',
  paused: 'wait',
  done: 'good',
  stopped: 'bad',
  cancelled: 'soft',
}

/** The state of a dead letter or an operation. */
export function stateOf(state: string): Html {
  return html`<span class="nowrap ${COLOURS[state as keyof typeof COLOURS] ?? ''}">${state.replaceAll('_', ' ')}</span>`
}

/** Whether the last error of a letter is of the past: it is on its way again, or has landed. */
export function isErrorPast(state: string): boolean {
  return state === 'replaying' || state === 'resolved'
}
