import { letterOf, writeDeadLetters } from '@sluice/shared/db'
import { reasonOfFailedJob } from '@sluice/shared/disposition'
import type { FailedJob } from '@sluice/shared/queue'
import type { Duty, QueueDutyDeps } from '../duty.ts'

/** Copies jobs that BullMQ has failed to `dead_letters`, and then removes them from the queue. */
export const failedJobs = ({ db, admin, log }: QueueDutyDeps): Duty => ({
  name: 'failed jobs',
  everyMs: 15_000,
  lease: 'sluice sweep',
  async run() {
    const swept = await admin.sweepFailed((job) =>
      db.landingTransaction((connection) => writeDeadLetters(connection, [letterOfFailed(job)])),
    )
    if (swept > 0) log.warn({ jobs: swept }, 'jobs that the queue gave up are dead letters now')
  },
})

function letterOfFailed({ jobId, data, reason, isStalled: hasCrashed, attempts }: FailedJob) {
  const error = Object.assign(new Error(reason), { name: hasCrashed ? 'WorkerCrashed' : 'JobFailed' })
  return letterOf({ jobId, envelope: data, attempts }, reasonOfFailedJob({ hasCrashed }), error)
}
