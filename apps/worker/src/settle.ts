import { classifyFailure, isTooSlow, type LandOptions } from '@sluice/shared/db'
import type { DeadLetterReason, Disposition } from '@sluice/shared/disposition'
import type { FailedJob } from './comparison.ts'
import { type LandingDeps, landAloneFromNowOn } from './land.ts'

/** How long an event waits at least that is to wait. */
const WAIT_MS = 1_000

/** A failed event, and what its source does with it. */
export type SettledJob = FailedJob & {
  /** It failed in the slot of its journey. */
  readonly hadSlot: boolean
  /** Lands it in a transaction without other events, or throws. */
  landAlone(options: LandOptions): Promise<unknown>
  bury(reason: DeadLetterReason, error: unknown): Promise<void>
}

/**
 * `settled`: it landed or is buried. The caller carries out the others: `retry` uses up an attempt, `wait` does not.
 */
export type Settled = { readonly kind: 'settled' | 'retry' | 'wait'; readonly error?: unknown }

const SETTLED: Settled = { kind: 'settled' }

/** Settles an event that failed alone, whether it came from the queue or from the inbox. */
export async function settle(deps: LandingDeps, failed: SettledJob): Promise<Settled> {
  const { job, error, hadSlot } = failed
  if (!hadSlot && isTooSlow(error)) {
    landAloneFromNowOn(deps, job)
    return { kind: 'wait', error }
  }
  const disposition = await deps.comparison.dispositionOf(failed)
  if (disposition.kind !== 'bury') return { kind: disposition.kind, error }
  const last = await tryAtLast(deps, failed)
  if (!last) return SETTLED
  if (last.disposition.kind !== 'bury') return { kind: last.disposition.kind, error: last.error }
  return failed.bury(last.disposition.reason, last.error).then(
    () => SETTLED,
    // What cannot be buried waits.
    (cause: unknown) => ({ kind: 'wait', error: cause }),
  )
}

/**
 * Tries an event again before it is buried: the cause of its failure may have ended before the probe event landed. A
 * new probe event follows, since the cause may have begun only now. An event that Postgres refuses is tried without the
 * `body` column.
 *
 * @returns undefined if the event has landed; else what becomes of it, and why
 */
async function tryAtLast(
  { comparison }: LandingDeps,
  failed: SettledJob,
): Promise<{ disposition: Disposition; error: unknown } | undefined> {
  const again = await failureOf(failed.landAlone({}))
  if (!again) return undefined
  const disposition = await comparison.dispositionAnew({ ...failed, error: again.of })
  if (disposition.kind === 'bury' && disposition.reason === 'rejected_by_database') {
    const withoutBody = await failureOf(failed.landAlone({ withoutBody: true }))
    if (!withoutBody) return undefined
    if (isNoFaultOfEvent(withoutBody.of)) return { disposition: { kind: 'wait' }, error: withoutBody.of }
  }
  return { disposition, error: again.of }
}

function isNoFaultOfEvent(error: unknown): boolean {
  return ['infrastructure', 'passing'].includes(classifyFailure(error))
}

function failureOf(work: Promise<unknown>): Promise<{ of: unknown } | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => ({ of: error }),
  )
}

/** For how long an event waits, ms: spread, so that they do not all come back at once. */
export function waitingTimeMs(): number {
  return WAIT_MS * (1 + Math.random())
}
