import { DelayedError, type Job, UnrecoverableError } from 'bullmq'
import { parseJson } from '../../envelope.ts'
import { describeError } from '../../runtime/errors.ts'
import { pause } from '../../runtime/every.ts'
import type { Log } from '../../runtime/log.ts'
import { type ClaimedJob, type EndedJob, type JobClaimer, MAX_JOBS } from './claim.ts'
import type { EventWorker } from './event-worker.ts'

export type QueueJob = {
  readonly jobId: string
  /** What the job carries: an envelope, unless somebody else has written to Redis. */
  readonly data: unknown
  /** This is the n-th try that counts, from 1. */
  readonly attempt: number
}

/** `completed`, `failed`, which uses up an attempt, or `delayed` by so many ms, which does not. */
export type HandleResult =
  | { kind: 'completed' }
  | { kind: 'failed'; error: unknown }
  | { kind: 'delayed'; ms: number }

/** A job as it came: what is handled of it, and in how many crashes of its worker it was under way. */
export type ClaimedQueueJob = { readonly incoming: QueueJob; readonly crashes: number }
export type HandleAll = (jobs: readonly ClaimedQueueJob[]) => Promise<HandleResult[]>

/** Where the first fifty jobs of a batch weigh this much it takes no more. */
const HEAVY_CHARACTERS = 1_000_000
/** How long to wait before a command is tried again that Redis has refused. */
const AGAIN_MS = 1_000

export type Batch = {
  readonly worker: EventWorker
  readonly claimer: JobClaimer
  /** Every job of the batch is locked under it. */
  readonly token: string
  /** Resolves when the batch may begin although it is not full. */
  turn(): Promise<void>
  readonly log: Log
}

/**
 * Handles the job that BullMQ has fetched, with those that wait behind it.
 *
 * @returns whether the first one is completed; a throw lets BullMQ fail it, or know that it is put off.
 */
export async function processBatch(
  batch: Batch,
  first: Job,
  size: number,
  handleAll: HandleAll,
): Promise<boolean> {
  const { worker, token } = batch
  const id = String(first.id)
  // Finished already, and in the list only since a script ended in the middle.
  if (first.finishedOn) return (await complete(batch, [{ id, attempts: first.attemptsMade }])).includes(id)
  const taken = await takeOthers(batch, size - 1)
  using _held = worker.hold(taken, token)
  await failGivenUp(batch, taken.filter(isGivenUp))
  const others = taken.filter((job) => !isGivenUp(job))
  const arrived = [
    { incoming: incomingOf(id, first.data, first.attemptsMade), crashes: first.stalledCounter },
    ...others.map(arrivedOf),
  ]
  const all = await handleAll(arrived)
  const [result, ...results] = all as [HandleResult, ...HandleResult[]]
  const settling = settleUnusual(batch, others, results)
  const completed = arrived
    .filter((_, index) => all[index]?.kind === 'completed')
    .map(({ incoming: { jobId, attempt } }) => ({ id: jobId, attempts: attempt }))
  const isCompleted = (await complete(batch, completed)).includes(id)
  await settling
  if (result.kind === 'failed') throw failureOf(result.error)
  if (result.kind === 'delayed') {
    await first.moveToDelayed(Date.now() + result.ms, token)
    throw new DelayedError()
  }
  return isCompleted
}

/** Where less than a batch waits, it waits for its turn. A first command tells how many are there: these come in one go. */
async function takeOthers({ worker, claimer, token, turn }: Batch, count: number): Promise<ClaimedJob[]> {
  async function take(most: number): Promise<ClaimedJob[]> {
    if (most === 0 || worker.closing || worker.isPaused()) return []
    return claimer.take(token, most)
  }
  if (claimer.waiting < count) await turn()
  const first = await take(Math.min(count, MAX_JOBS))
  if (charactersOf(first) > HEAVY_CHARACTERS) return first
  return [...first, ...(await take(Math.min(count - first.length, claimer.waiting)))]
}

function charactersOf(jobs: readonly ClaimedJob[]): number {
  return jobs.reduce((sum, { data }) => sum + data.length, 0)
}

function arrivedOf({ id, data, attemptsMade, stalledCounter }: ClaimedJob): ClaimedQueueJob {
  return { incoming: incomingOf(id, parsed(data), attemptsMade), crashes: stalledCounter }
}

/** BullMQ marks a job that has stalled too often, and fails it when it is fetched. */
function isGivenUp({ failure }: ClaimedJob): boolean {
  return failure !== ''
}

async function jobOf({ worker, claimer }: Batch, { id }: ClaimedJob): Promise<Job> {
  return worker.jobOf(id, await claimer.fieldsOf(id))
}

async function failGivenUp(batch: Batch, jobs: readonly ClaimedJob[]): Promise<void> {
  const { token, log } = batch
  for (const job of jobs) {
    await jobOf(batch, job)
      .then((given) => given.moveToFailed(new UnrecoverableError(job.failure), token))
      .catch((error) => log.warn({ err: error }, 'a job cannot be failed'))
  }
}

/** Data that is no JSON stays the text that it is. */
function parsed(text: string): unknown {
  const data = parseJson(text)
  return data === undefined ? text : data
}

function incomingOf(jobId: string, data: unknown, attemptsMade: number): QueueJob {
  return { jobId, data, attempt: attemptsMade + 1 }
}

/** Lets BullMQ fail what has failed, and put off what is to wait. */
async function settleUnusual(
  batch: Batch,
  jobs: readonly ClaimedJob[],
  results: readonly HandleResult[],
): Promise<void> {
  const { token, log } = batch
  const settling = jobs.map(async (job, index) => {
    const result = results[index]
    if (result?.kind === 'delayed') {
      await (await jobOf(batch, job)).moveToDelayed(Date.now() + result.ms, token)
    }
    if (result?.kind === 'failed') {
      await (await jobOf(batch, job)).moveToFailed(failureOf(result.error), token)
    }
  })
  for (const settled of await Promise.allSettled(settling)) {
    // Its lock expires, and it is handed out anew.
    if (settled.status === 'rejected') log.warn({ err: settled.reason }, 'a job cannot be settled')
  }
}

/**
 * Goes on until Redis takes it: what has landed would else be landed again, and at last be taken for a culprit.
 *
 * @returns those that are completed; others have lost their lock, or this worker ends
 */
async function complete(
  { worker, claimer, token, log }: Batch,
  jobs: readonly EndedJob[],
): Promise<string[]> {
  while (jobs.length > 0) {
    try {
      const lost = await claimer.finish(token, jobs)
      if (lost.length > 0) {
        log.debug({ jobs: lost.length }, 'jobs had lost their lock when they were completed')
      }
      return jobs.map(({ id }) => id).filter((id) => !lost.includes(id))
    } catch (error) {
      log.warn({ err: error }, 'jobs cannot be completed')
      if (worker.closing) return []
      await pause(AGAIN_MS)
    }
  }
  return []
}

/** BullMQ stores message and stack in Redis; a driver's message may carry the row. */
function failureOf(error: unknown): Error {
  const { name, message } = describeError(error)
  return new Error(`${name}: ${message}`)
}
