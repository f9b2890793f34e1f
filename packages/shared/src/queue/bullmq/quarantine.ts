import { SUSPECT_AFTER } from '../../disposition.ts'
import type { BatchTrace } from '../../runtime/traces.ts'
import type { CountedJob, HandleAll, HandleResult, QueueJob } from './batch.ts'

const isSuspect = ({ crashes }: CountedJob) => crashes >= SUSPECT_AFTER

/**
 * Handles the innocent jobs of a batch together, and each suspect while nothing else runs, so that its next crash
 * counts against no other job: fetching is held, and running jobs end first. Jobs that come meanwhile are delayed.
 */
export function quarantineSuspects(
  fetching: { hold(): void; release(): void },
  handle: (jobs: readonly QueueJob[], trace?: BatchTrace) => Promise<HandleResult[]>,
): HandleAll {
  const run = createExclusion(fetching)
  return async (jobs, trace) => {
    const groups = [jobs.filter((job) => !isSuspect(job)), ...jobs.filter(isSuspect).map((job) => [job])]
    const results = new Map<CountedJob, HandleResult>()
    async function handleGroup(group: readonly CountedJob[]): Promise<void> {
      const queueJobs = group.map(({ job }) => job)
      const work = () => handle(queueJobs, trace)
      const settled = await run(group.some(isSuspect), work).catch((error: unknown) => {
        trace?.failed(error)
        return group.map((): HandleResult => ({ kind: 'failed', error }))
      })
      const later: HandleResult = { kind: 'delayed', ms: 500 + Math.random() * 1_000 }
      group.forEach((job, index) => {
        results.set(job, settled?.[index] ?? later)
      })
    }
    await Promise.all(groups.filter((group) => group.length > 0).map(handleGroup))
    return jobs.map((job) => results.get(job) as HandleResult)
  }
}

function createExclusion(fetching: { hold(): void; release(): void }) {
  let running = 0
  let isExclusive = false
  let whenIdle: (() => void) | undefined

  async function exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    isExclusive = true
    fetching.hold()
    try {
      if (running > 0) await new Promise<void>((resolve) => (whenIdle = resolve))
      return await work()
    } finally {
      isExclusive = false
      fetching.release()
    }
  }

  /** @returns undefined, and runs nothing, while a suspect runs */
  return async <Result>(alone: boolean, work: () => Promise<Result>): Promise<Result | undefined> => {
    if (isExclusive) return undefined
    if (alone) return exclusively(work)
    running++
    try {
      return await work()
    } finally {
      running--
      if (running === 0) whenIdle?.()
    }
  }
}
