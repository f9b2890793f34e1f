import { type Job, type JobJson, raw2NextJobData, Worker } from 'bullmq'
import type { ClaimedJob } from './claim.ts'
import { JOB_OPTIONS } from './options.ts'

const TRACK_AFTER_MS = 2_000

/** BullMQ's worker, which also keeps jobs that our script has claimed. */
export class EventWorker extends Worker {
  /**
   * Adds the job options, and reads every job. BullMQ parses a job's data while it fetches, so data that is no JSON
   * would stop fetching again and again. Here such data stays text, and the job becomes a dead letter like any other.
   */
  protected override createJob(stored: JobJson, jobId: string): Job {
    const json = { ...stored, delay: 0, priority: 0, opts: { ...stored.opts, ...JOB_OPTIONS } } as JobJson
    try {
      return super.createJob(json, jobId) as Job
    } catch {
      return super.createJob({ ...json, data: JSON.stringify(json.data) }, jobId) as Job
    }
  }

  /** A claimed job as BullMQ's object, which can fail it or delay it. */
  jobOf(id: string, fields: readonly string[]): Job {
    const [json] = raw2NextJobData([fields, id, 0, 0])
    return this.createJob(json as JobJson, id)
  }

  /** Renews the locks of these jobs until disposed. Most batches end before BullMQ has to know of their jobs. */
  keepLocks(jobs: readonly ClaimedJob[], token: string): Disposable {
    const since = Date.now()
    let isTracked = false
    const timer = setTimeout(() => {
      isTracked = true
      for (const { id } of jobs) this.lockManager.trackJob(id, token, since)
    }, TRACK_AFTER_MS)
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer)
        if (isTracked) for (const { id } of jobs) this.lockManager.untrackJob(id)
      },
    }
  }
}
