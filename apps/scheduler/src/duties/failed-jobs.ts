import { createErasedSubjects, letterOf, writeDeadLetters } from '@sluice/shared/db'
import { reasonOfFailedJob } from '@sluice/shared/disposition'
import type { FailedJob } from '@sluice/shared/queue'
import type { Duty, QueueDutyDeps } from '../duty.ts'

/** Copies jobs that BullMQ has failed to `dead_letters`, and then removes them from the queue. */
export function failedJobs({ db, admin, log }: QueueDutyDeps): Duty {
  const subjects = createErasedSubjects(log)
  return {
    name: 'failed jobs',
    everyMs: 15_000,
    lease: 'sluice sweep',
    async run() {
      let buried = 0
      await admin.sweepFailed(async (job) => {
        buried += await db.landingTransaction(async (connection, _now, erasures) => {
          const erased = await subjects.asOf(connection, erasures)
          return writeDeadLetters(connection, [letterOfFailed(job)], { erased })
        })
      })
      if (buried > 0) log.warn({ jobs: buried }, 'jobs that the queue gave up are dead letters now')
    },
  }
}

function letterOfFailed({ jobId, data, reason, isStalled: hasCrashed, attempts }: FailedJob) {
  const error = Object.assign(new Error(reason), { name: hasCrashed ? 'WorkerCrashed' : 'JobFailed' })
  return letterOf({ jobId, envelope: data, attempts }, reasonOfFailedJob({ hasCrashed }), error)
}
