import type { Duty, QueueDutyDeps } from '../duty.ts'

/** Removes completed jobs after an hour. Finishing a job does that too, but not while none is finished. */
export const oldJobs = ({ admin }: QueueDutyDeps): Duty => ({
  name: 'old jobs',
  everyMs: 60_000,
  lease: 'sluice old jobs',
  run: () => admin.removeOldJobs(),
})
