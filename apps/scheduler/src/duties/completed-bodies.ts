import type { Duty, QueueDutyDeps } from '../duty.ts'

/** Removes the bodies of jobs ten minutes after they were completed, or at once if Redis is nearly full. */
export const completedBodies = ({ admin }: QueueDutyDeps): Duty => ({
  name: 'bodies of completed jobs',
  everyMs: 10_000,
  lease: 'sluice bodies',
  run: () => admin.stripBodies(),
})
