import { writeDeadLetters } from '@sluice/shared/db'
import type { FailedJob } from '@sluice/shared/queue'
import type { Duty, QueueDutyDeps } from '../duty.ts'

/** Copies jobs that BullMQ has failed to `dead_letters`, and then removes them from the queue. */
export const failedJobs = ({ db, admin, log }: QueueDutyDeps): Duty => ({
  name: 'failed jobs',
  everyMs: 15_000,
  lease: 'sluice sweep',
  async run() {
    const swept = await admin.sweepFailed((job) =>
      db.landingTransaction((connection) => writeDeadLetters(connection, [letterOf(job)])),
    )
    if (swept > 0) log.warn({ jobs: swept }, 'jobs that the queue gave up are dead letters now')
  },
})

function letterOf({ jobId, data, reason, attempts }: FailedJob) {
  const stalled = reason.includes('stalled')
  return {
    jobId,
    reason: stalled ? ('worker_crashed' as const) : ('attempts_exhausted' as const),
    error: { name: stalled ? 'WorkerCrashed' : 'JobFailed', message: reason },
    attempts,
    envelope: data,
  }
}
