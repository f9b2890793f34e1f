import { DelayedError, type Job, UnrecoverableError } from 'bullmq'
import { parseJson } from '../../envelope.ts'
import { describeError } from '../../runtime/errors.ts'
import { pause } from '../../runtime/every.ts'
import type { Log } from '../../runtime/log.ts'
import type { EndStage } from '../../runtime/metrics.ts'
import type { BatchTrace } from '../../runtime/traces.ts'
import type { Bodies } from './bodies.ts'
import { type ClaimedJob, type JobClaimer, MAX_JOBS } from './claim.ts'
import type { EventWorker } from './event-worker.ts'
import type { EndedJob, Finish } from './finish.ts'

/*
 * The states of a job, by the steps of a batch. "Stalls" means: its lock expires within 15 s, BullMQ's check for
 * stalled jobs finds it in `active` without a lock, counts one crash, and lets it wait again.
 *
 *   waiting ──claim──▶ claimed ──handle──▶ landed ──finish──▶ completed ──1 h──▶ removed
 *                        │ ├──▶ delayed: waits again at its time, and this try does not count
 *                        │ └──▶ failed: waits again after a backoff, and the try counts; at last in `failed`
 *                        └──▶ given up, since it has stalled too often: in `failed`, not handled any more
 *
 * What a crash leaves, and who repairs it:
 * - Within the claim: jobs in `active` and in `wait`. Another worker claims them, and both may run; the event's key
 *   makes the second landing harmless. The spare id in `active` stalls, and a claim drops it once the job is finished.
 * - After the claim, before Postgres commits: claimed jobs without effect. They stall.
 * - After the commit, before the finish: landed jobs that are still claimed. They stall, and land again without effect.
 *   So finishing is repeated until Redis accepts it: each stall counts as a crash, and two make a job a suspect.
 * - Within the finish: completed jobs that are still in `active`. They stall, and a claim drops them.
 * - Before BullMQ's script for a delay or a failure: claimed jobs. They stall. The script itself is one step.
 * - Between the failure of a job that was given up and its dead letter: the sweeper reads `failed`, writes the dead
 *   letter, then removes the job. It does both again after a crash, and writes one dead letter for each job.
 * - Within the add, within the claim when a hash is gone, or when Redis loses a list: jobs in no list. `rescue.ts`
 *   finds them.
 */

/** A job as it is handled. */
export type QueueJob = {
  readonly jobId: string
  /** An envelope, unless another program has written to Redis. */
  readonly data: unknown
  /** The number of this try, from 1. */
  readonly attempt: number
}

/**
 * `failed` uses up an attempt; `delayed` by so many ms does not. Of a `completed` job that is `erased`, the body goes
 * at once.
 */
export type HandleResult =
  | { kind: 'completed'; isErased?: true }
  | { kind: 'failed'; error: unknown }
  | { kind: 'delayed'; ms: number }

/** `crashes`: in how many crashes of its worker the job was active. */
export type CountedJob = { readonly job: QueueJob; readonly crashes: number }
/** Gives a result for each job, in order. */
export type HandleAll = (jobs: readonly CountedJob[], trace?: BatchTrace) => Promise<HandleResult[]>

/** A batch stays at its first fifty jobs if these have more characters. */
const HEAVY_CHARACTERS = 1_000_000
const FINISH_AGAIN_MS = 1_000

export type Batch = {
  readonly worker: EventWorker
  readonly claimer: JobClaimer
  readonly finish: Finish
  readonly bodies: Bodies
  /** Every job of the batch is locked under it. */
  readonly token: string
  /** Resolves when a batch that is not full may start. */
  startSlot(): Promise<void>
  readonly trace: BatchTrace | undefined
  readonly endStage: EndStage | undefined
  readonly log: Log
}

/**
 * Handles the job that BullMQ has fetched, together with jobs that wait behind it.
 *
 * @returns whether the first one is completed
 * @throws if the first one has failed, or DelayedError if it is delayed: BullMQ expects both
 */
export async function processBatch(
  batch: Batch,
  first: Job,
  size: number,
  handleAll: HandleAll,
): Promise<boolean> {
  const { worker, token, trace, endStage } = batch
  trace?.step('take')
  const id = String(first.id)
  // A script that failed halfway left a finished job in the list.
  if (first.finishedOn) return (await finishAll(batch, [{ id, attempts: first.attemptsMade }])).includes(id)
  const claimed = await claimOthers(batch, size - 1)
  using _locks = worker.keepLocks(claimed, token)
  await failGivenUp(batch, claimed.filter(isGivenUp))
  const others = claimed.filter((job) => !isGivenUp(job))
  const jobs = [
    { job: queueJob(id, first.data, first.attemptsMade), crashes: first.stalledCounter },
    ...others.map((job) => ({
      job: queueJob(job.id, parsed(job.data), job.attemptsMade),
      crashes: job.crashes,
    })),
  ]
  endStage?.('take', jobs.length)
  trace?.step('land')
  const all = await handleAll(jobs, trace)
  endStage?.('land', jobs.length)
  trace?.step('finish')
  const [result, ...results] = all as [HandleResult, ...HandleResult[]]
  const settling = settleUncompleted(batch, others, results)
  const completed = jobs
    .filter((_, index) => all[index]?.kind === 'completed')
    .map(({ job: { jobId, attempt } }) => ({ id: jobId, attempts: attempt }))
  const isCompleted = (await finishAll(batch, completed)).includes(id)
  if (all.some(isErased))
    await removeBodies(
      batch,
      jobs.flatMap(({ job }, at) => (isErased(all[at]) ? [job.jobId] : [])),
    )
  await settling
  endStage?.('finish', jobs.length)
  if (result.kind === 'failed') throw failureOf(result.error)
  if (result.kind === 'delayed') {
    await first.moveToDelayed(Date.now() + result.ms, token)
    throw new DelayedError()
  }
  return isCompleted
}

/**
 * Waits for a start slot if less than a batch waits. The first claim returns how many wait behind it; one more takes
 * these.
 */
async function claimOthers(
  { worker, claimer, token, startSlot }: Batch,
  count: number,
): Promise<ClaimedJob[]> {
  async function claim(most: number): Promise<ClaimedJob[]> {
    if (most === 0 || worker.closing || worker.isPaused()) return []
    return claimer.claim(token, most)
  }
  if (claimer.waiting < count) await startSlot()
  const first = await claim(Math.min(count, MAX_JOBS))
  const characters = first.reduce((sum, { data }) => sum + data.length, 0)
  if (characters > HEAVY_CHARACTERS) return first
  return [...first, ...(await claim(Math.min(count - first.length, claimer.waiting)))]
}

const isErased = (result: HandleResult | undefined) =>
  result?.kind === 'completed' && result.isErased === true

/** If this fails, they go with all others ten minutes later. */
async function removeBodies({ bodies, log }: Batch, jobIds: readonly string[]): Promise<void> {
  await bodies.remove(jobIds).catch((error) => log.debug({ err: error }, 'bodies stay a while'))
}

const isGivenUp = ({ failure }: ClaimedJob) => failure !== ''

async function bullmqJob({ worker, claimer }: Batch, { id }: ClaimedJob): Promise<Job> {
  return worker.jobOf(id, await claimer.fieldsOf(id))
}

async function failGivenUp(batch: Batch, jobs: readonly ClaimedJob[]): Promise<void> {
  const { token, trace, log } = batch
  for (const job of jobs) {
    const failure = new UnrecoverableError(job.failure)
    trace?.failed(failure)
    await bullmqJob(batch, job)
      .then((givenUp) => givenUp.moveToFailed(failure, token))
      .catch((error) => log.warn({ err: error }, 'a job cannot be failed'))
  }
}

/** Data that is no JSON stays text. */
function parsed(text: string): unknown {
  const data = parseJson(text)
  return data === undefined ? text : data
}

function queueJob(jobId: string, data: unknown, attemptsMade: number): QueueJob {
  return { jobId, data, attempt: attemptsMade + 1 }
}

/** BullMQ's scripts fail and delay jobs, one by one. */
async function settleUncompleted(
  batch: Batch,
  jobs: readonly ClaimedJob[],
  results: readonly HandleResult[],
): Promise<void> {
  const { token, trace, log } = batch
  const settling = jobs.map(async (job, index) => {
    const result = results[index]
    if (result?.kind === 'delayed') {
      await (await bullmqJob(batch, job)).moveToDelayed(Date.now() + result.ms, token)
    }
    if (result?.kind === 'failed') {
      await (await bullmqJob(batch, job)).moveToFailed(failureOf(result.error), token)
    }
  })
  for (const settled of await Promise.allSettled(settling)) {
    if (settled.status === 'fulfilled') continue
    // The job stalls.
    trace?.failed(settled.reason)
    log.warn({ err: settled.reason }, 'a job cannot be settled')
  }
}

/**
 * Tries until Redis accepts it, or until this worker closes.
 *
 * @returns the completed ones; the others have lost their lock
 */
async function finishAll(
  { worker, finish, token, trace, log }: Batch,
  jobs: readonly EndedJob[],
): Promise<string[]> {
  while (jobs.length > 0) {
    try {
      const lost = await finish(token, jobs)
      if (lost.length > 0) {
        log.debug({ jobs: lost.length }, 'jobs had lost their lock when they were completed')
      }
      return jobs.map(({ id }) => id).filter((id) => !lost.includes(id))
    } catch (error) {
      trace?.failed(error)
      log.warn({ err: error }, 'jobs cannot be completed')
      if (worker.closing) return []
      await pause(FINISH_AGAIN_MS)
    }
  }
  return []
}

/** Redis stores the message and the stack. A driver's message may contain the row, so only a description is stored. */
function failureOf(error: unknown): Error {
  const { name, message } = describeError(error)
  return new Error(`${name}: ${message}`)
}
