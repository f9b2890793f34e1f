import type { Duty, QueueDutyDeps } from '../duty.ts'

/** Lets jobs wait again that are in no list of the queue, or that a wrong clock had delayed for very long. */
export const lostJobs = ({ admin, log }: QueueDutyDeps): Duty => ({
  name: 'lost jobs',
  everyMs: 30_000,
  lease: 'sluice lost jobs',
  async run() {
    const { back, forgotten, early } = await admin.rescueLost()
    if (back > 0) log.warn({ jobs: back }, 'jobs that were in no list of the queue wait again')
    if (forgotten > 0) log.warn({ jobs: forgotten }, 'jobs were listed in the queue whose hashes are gone')
    if (early > 0)
      log.warn({ jobs: early }, 'jobs that a worker with a wrong clock had delayed wait no longer')
  },
})
