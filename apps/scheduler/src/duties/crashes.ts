import { countCrashes } from '@sluice/shared/db'
import type { Duty, DutyDeps } from '../duty.ts'

/** Longer than any transaction of a worker may last. */
const CLAIM_IS_DEAD_MS = 20_000

/**
 * Counts a crash on each row of the inbox whose worker died while it held the row. It needs no lease: each claim is
 * counted by the process that deletes it.
 */
export const crashes = ({ db }: DutyDeps): Duty => ({
  name: 'crashes',
  everyMs: 5_000,
  run: async () => void (await countCrashes(db.pool, CLAIM_IS_DEAD_MS)),
})
