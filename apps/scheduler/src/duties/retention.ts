import { retainOnce } from '@sluice/shared/operations'
import type { Duty, RetentionDutyDeps } from '../duty.ts'

/** Drops what is older than its term. */
export const retention = ({ db, log, retention: policy }: RetentionDutyDeps): Duty => ({
  name: 'retention',
  everyMs: 600_000,
  lease: 'sluice retention',
  run: (stop) => retainOnce({ db, log, stop }, policy),
})
