import { deleteOldRecords, markMadeUp } from '@sluice/shared/db'
import type { Duty, DutyDeps } from '../duty.ts'

/** The usual traffic of an hour is that of the last four weeks. */
const KEPT_MS = 35 * 86_400_000

/** Deletes old minutes and refusals, and marks refused events that came late. */
export const oldRecords = ({ db }: DutyDeps): Duty => ({
  name: 'old records',
  everyMs: 3_600_000,
  lease: 'sluice old records',
  async run() {
    await markMadeUp(db.pool, KEPT_MS)
    await deleteOldRecords(db.pool, new Date(Date.now() - KEPT_MS))
  },
})
