import {
  behindMs,
  coveredUntil,
  ensurePartitions,
  listPartitions,
  readRetention,
  withLease,
} from '@sluice/shared/db'
import type { Duty, RetentionDutyDeps } from '../duty.ts'

const DAY_MS = 86_400_000

/**
 * Makes partitions of `events` ahead. It waits for nothing that retention does, since without a partition no event can
 * land. Each process measures; the lease is for making alone.
 */
export const partitions = ({ db, log, metrics, retention }: RetentionDutyDeps): Duty => ({
  name: 'partitions',
  everyMs: 120_000,
  async run() {
    await withLease(db, 'sluice partitions', async () => {
      const made = await ensurePartitions(db, retention.period)
      if (made.length > 0) log.info({ partitions: made }, 'partitions for the time ahead are made')
    })
    const [state, present] = await Promise.all([readRetention(db.pool), listPartitions(db.pool)])
    const aheadMs = coveredUntil(present, state.now).getTime() - state.now.getTime()
    metrics.partitionsAhead.set(Math.floor(aheadMs / DAY_MS))
    metrics.retentionBehind.set(behindMs(state, present) / 1_000)
  },
})
