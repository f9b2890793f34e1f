import type { LandingOutcome } from '@sluice/shared/db'
import type { BatchTrace, Metrics } from '@sluice/shared/runtime'

/** The outcome of an event. `receivedAt` is in ms since 1970, if it is known. */
export type Handled = {
  readonly outcome: LandingOutcome | 'dead_letter'
  readonly receivedAt?: number
  /** The event was received long ago: how long it took says nothing of Sluice. */
  readonly isReplay?: boolean
}

export function countHandled(metrics: Metrics, via: 'redis' | 'inbox', handled: readonly Handled[]): void {
  for (const [outcome, group] of Map.groupBy(handled, (each) => each.outcome)) {
    const replays = group.filter(({ isReplay }) => isReplay).length
    if (group.length > replays) metrics.handled.inc({ via, outcome }, group.length - replays)
    if (replays > 0) metrics.handled.inc({ via: 'replay', outcome }, replays)
    if (outcome !== 'landed') continue
    for (const { receivedAt, isReplay } of group) {
      if (receivedAt && !isReplay) metrics.landSeconds.observe((Date.now() - receivedAt) / 1000)
    }
  }
}

/** Those that became dead letters as they landed. */
export function traceFailed(trace: BatchTrace, handled: readonly Handled[]): void {
  for (const { outcome } of handled) {
    if (outcome === 'conflict' || outcome === 'dead_letter') trace.failed({ code: outcome })
  }
}

/** @param buried those of which dead letters were written; nothing of the others may be stored */
export function countBuried(metrics: Metrics, via: 'redis' | 'inbox', all: number, buried: number): void {
  if (buried > 0) metrics.handled.inc({ via, outcome: 'dead_letter' }, buried)
  if (all > buried) metrics.handled.inc({ via, outcome: 'erased' }, all - buried)
}
