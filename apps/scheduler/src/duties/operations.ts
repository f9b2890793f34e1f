import { nextStepMs, stepOperation } from '@sluice/shared/db'
import { pause } from '@sluice/shared/runtime'
import type { Duty, DutyDeps } from '../duty.ts'

/** An operation that is due sooner is waited for. */
const SOON_MS = 250
/** While other processes do the steps. */
const BUSY_MS = 50

/**
 * Carries out replays and discards of many dead letters. It needs no lease: each step locks the row of its operation.
 */
export const operations = ({ db }: DutyDeps): Duty => ({
  name: 'operations',
  everyMs: 1_000,
  async run(stop) {
    while (!stop.aborted) {
      const nextMs = await nextStepMs(db)
      if (nextMs === undefined || nextMs > SOON_MS) return
      if (nextMs > 0) await pause(nextMs, stop)
      else if (!(await stepOperation(db))) await pause(BUSY_MS, stop)
    }
  },
})
