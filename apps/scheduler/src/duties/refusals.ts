import { markMadeUp } from '@sluice/shared/db'
import type { Duty, DutyDeps } from '../duty.ts'

/** IDWise tries for half an hour, and an event may wait before it lands. */
const AWAITED_MS = 2 * 3_600_000

/** Marks refused events that IDWise has sent again since. */
export const refusals = ({ db }: DutyDeps): Duty => ({
  name: 'refusals',
  everyMs: 5_000,
  lease: 'sluice refusals',
  run: async () => void (await markMadeUp(db.pool, AWAITED_MS)),
})
