import { type Job, type JobJson, Worker } from 'bullmq'
import { JOB_OPTIONS } from './options.ts'

/**
 * Puts the job options on, and reads what it cannot: BullMQ parses a job's data while it fetches, so a job whose data is
 * no JSON would stop fetching again and again. Here such data arrives as the text that it is, and becomes a dead letter
 * like any other.
 */
export class EventWorker extends Worker {
  protected override createJob(stored: JobJson, jobId: string): Job {
    const json = { ...stored, delay: 0, priority: 0, opts: { ...stored.opts, ...JOB_OPTIONS } } as JobJson
    try {
      return super.createJob(json, jobId) as Job
    } catch {
      return super.createJob({ ...json, data: JSON.stringify(json.data) }, jobId) as Job
    }
  }
}
