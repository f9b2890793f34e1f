import { type Job, type JobJson, raw2NextJobData, Worker } from 'bullmq'
import type { ClaimedJob } from './claim.ts'
import { JOB_OPTIONS } from './options.ts'

const TELL_AFTER_MS = 2_000

/** BullMQ's worker, for jobs that are taken beside the one that it has fetched. */
export class EventWorker extends Worker {
  /**
   * Puts the job options on, and reads what it cannot: BullMQ parses a job's data while it fetches, so a job whose data is
   * no JSON would stop fetching again and again. Here such data arrives as the text that it is, and becomes a dead letter
   * like any other.
   */
  protected override createJob(stored: JobJson, jobId: string): Job {
    const json = { ...stored, delay: 0, priority: 0, opts: { ...stored.opts, ...JOB_OPTIONS } } as JobJson
    try {
      return super.createJob(json, jobId) as Job
    } catch {
      return super.createJob({ ...json, data: JSON.stringify(json.data) }, jobId) as Job
    }
  }

  /** A taken job as BullMQ knows it, to fail it or to put it off. */
  jobOf(id: string, fields: readonly string[]): Job {
    const [json] = raw2NextJobData([fields, id, 0, 0])
    return this.createJob(json as JobJson, id)
  }

  /** Keeps their locks until disposed. Most are done before BullMQ, which renews locks every few seconds, need know of them. */
  hold(jobs: readonly ClaimedJob[], token: string): Disposable {
    const since = Date.now()
    let isTold = false
    const timer = setTimeout(() => {
      isTold = true
      for (const { id } of jobs) this.lockManager.trackJob(id, token, since)
    }, TELL_AFTER_MS)
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer)
        if (isTold) for (const { id } of jobs) this.lockManager.untrackJob(id)
      },
    }
  }
}
