import { DelayedError, type Job, UnrecoverableError, type Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { pause, withDeadline } from '../runtime/backoff.ts'
import { describeError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { connectRedis } from './connection.ts'
import { EventWorker } from './event-worker.ts'
import { ATTEMPTS, QUEUE_NAME, shardPrefix, WORKER_OPTIONS } from './options.ts'
import type { QueueLocation } from './sender.ts'
import { createSolo, SUSPECT_AFTER } from './solo.ts'
import { createJobTaker, type JobTaker, MAX_JOBS, passingOver, type TakenJob } from './take.ts'

export type Incoming = {
  readonly jobId: string
  /** What the job carries: an envelope, unless somebody else has written to Redis. */
  readonly data: unknown
  /** This is the n-th try that counts, from 1. */
  readonly attempt: number
  readonly isLastAttempt: boolean
}

/** `completed`, `failed`, which uses up an attempt, or `delayed` by so many ms, which does not. */
export type HandleResult =
  | { kind: 'completed' }
  | { kind: 'failed'; error: unknown }
  | { kind: 'delayed'; ms: number }

export type QueueReceiver = {
  /** Stops fetching until as many calls of `resume`; jobs under way go on. */
  pause(): void
  resume(): void
} & AsyncDisposable

const BATCHES = 3
const CLOSE_LIMIT_MS = 20_000
/** How far apart batches of a shard begin, at least: at a steady trickle each would be for one job, and cost as much as one for many. */
const SPACING_MS = 20
/** Where the first fifty jobs of a batch weigh this much it takes no more. */
const HEAVY_CHARACTERS = 1_000_000
/** How long to wait before a command is tried again that Redis has refused. */
const AGAIN_MS = 1_000

/**
 * The worker's side of the queue: waits for Redis for ever and handles up to `concurrency` jobs of each shard at once, in
 * three batches. BullMQ fetches the first job of each; what else waits then comes with it. Closing waits for the batches
 * under way; what is not done after 20 s stays with Redis and is handed to another worker.
 *
 * @param handle gives a result for each job, in order
 */
export function createQueueReceiver(
  location: QueueLocation & { consume?: readonly number[] },
  handle: (jobs: readonly Incoming[]) => Promise<HandleResult[]>,
  { concurrency, log }: { concurrency: number; log: Log },
): QueueReceiver {
  const { client, disconnect } = connectForWorkers(location.url, log)
  const batches = Math.min(BATCHES, concurrency)
  const batchSize = Math.floor(concurrency / batches)
  let holds = 0
  const fetching = {
    hold() {
      if (holds++ === 0) for (const worker of workers) void worker.pause(true)
    },
    release() {
      if (--holds === 0) for (const worker of workers) worker.resume()
    },
  }
  const handleAll = handleBySuspicion(createSolo(fetching), handle)
  const shards = location.consume ?? Array.from({ length: location.shards }, (_, shard) => shard)
  const workers = shards.map((shard) => {
    const prefix = shardPrefix(location.prefix, shard)
    const taker = createJobTaker(client, prefix)
    const completed = new Set<string>()
    const turn = createTurns(SPACING_MS)
    const worker: EventWorker = new EventWorker(
      QUEUE_NAME,
      async (job, token = '') => {
        const batch = { worker, taker, token, turn, log }
        if (await processBatch(batch, job, batchSize, handleAll)) completed.add(String(job.id))
      },
      { connection: client, prefix, concurrency: batches, ...WORKER_OPTIONS },
      passingOver(completed),
    )
    worker.on('error', (error) =>
      log[client.status === 'ready' ? 'warn' : 'debug']({ err: error, shard }, 'queue worker'),
    )
    return worker
  })
  return {
    pause: fetching.hold,
    resume: fetching.release,
    async [Symbol.asyncDispose]() {
      // Without Redis there is nothing to hand back, and BullMQ would wait for a connection.
      const limitMs = client.status === 'ready' ? CLOSE_LIMIT_MS : 500
      await Promise.all(workers.map((worker) => closeWorker(worker, limitMs, log)))
      disconnect()
    },
  }
}

/** Each turn comes at least so long after the one before. */
function createTurns(spacingMs: number): () => Promise<void> {
  let next = 0
  return async () => {
    const now = performance.now()
    const waitMs = next - now
    next = Math.max(now, next) + spacingMs
    if (waitMs > 0) await pause(waitMs)
  }
}

/** A job as it came: what is handled of it, and in how many crashes of its worker it was under way. */
type Arrived = { readonly incoming: Incoming; readonly crashes: number }
type HandleAll = (jobs: readonly Arrived[]) => Promise<HandleResult[]>

/** Handles jobs together, but each one that is suspected by itself. */
function handleBySuspicion(
  solo: ReturnType<typeof createSolo>,
  handle: (jobs: readonly Incoming[]) => Promise<HandleResult[]>,
): HandleAll {
  return async (jobs) => {
    const isSuspect = ({ crashes }: Arrived) => crashes >= SUSPECT_AFTER
    const groups = [jobs.filter((job) => !isSuspect(job)), ...jobs.filter(isSuspect).map((job) => [job])]
    const results = new Map<Arrived, HandleResult>()
    async function handleGroup(group: readonly Arrived[]): Promise<void> {
      const work = () => handle(group.map(({ incoming }) => incoming))
      const settled = await solo(group.some(isSuspect), work).catch((error: unknown) =>
        group.map((): HandleResult => ({ kind: 'failed', error })),
      )
      const putOff: HandleResult = { kind: 'delayed', ms: 500 + Math.random() * 1_000 }
      group.forEach((job, index) => {
        results.set(job, settled?.[index] ?? putOff)
      })
    }
    await Promise.all(groups.filter((group) => group.length > 0).map(handleGroup))
    return jobs.map((job) => results.get(job) as HandleResult)
  }
}

type Batch = {
  readonly worker: EventWorker
  readonly taker: JobTaker
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
async function processBatch(batch: Batch, first: Job, size: number, handleAll: HandleAll): Promise<boolean> {
  const { worker, token } = batch
  const id = String(first.id)
  const taken = await takeOthers(batch, size - 1)
  worker.hold(taken, token)
  try {
    await failGivenUp(batch, taken.filter(isGivenUp))
    const others = taken.filter((job) => !isGivenUp(job))
    const [result, ...results] = (await handleAll([
      { incoming: incomingOf(id, first.data, first.attemptsMade), crashes: first.stalledCounter },
      ...others.map(arrivedOf),
    ])) as [HandleResult, ...HandleResult[]]
    const settling = settleUnusual(batch, others, results)
    const completed = others.filter((_, index) => results[index]?.kind === 'completed').map((job) => job.id)
    if (result.kind === 'completed') completed.push(id)
    const isCompleted = (await complete(batch, completed)).includes(id)
    await settling
    if (result.kind === 'failed') throw failureOf(result.error)
    if (result.kind === 'delayed') {
      await first.moveToDelayed(Date.now() + result.ms, token)
      throw new DelayedError()
    }
    return isCompleted
  } finally {
    worker.release(taken)
  }
}

/** A first command tells whether many wait: these come in one go. Few are waited for, until it is this batch's turn. */
async function takeOthers(batch: Batch, count: number): Promise<TakenJob[]> {
  const { worker, taker, token, turn, log } = batch
  async function take(most: number): Promise<TakenJob[]> {
    if (most === 0 || worker.closing || worker.isPaused()) return []
    return taker.take(token, most).catch((error) => {
      log.debug({ err: error }, 'no further jobs are taken')
      return []
    })
  }
  const asked = Math.min(count, MAX_JOBS)
  const first = await take(asked)
  if (charactersOf(first) > HEAVY_CHARACTERS) return first
  if (first.length < asked) await turn()
  return [...first, ...(await take(count - first.length))]
}

function charactersOf(jobs: readonly TakenJob[]): number {
  return jobs.reduce((sum, { fields }) => fields.reduce((all, field) => all + field.length, sum), 0)
}

function arrivedOf(job: TakenJob): Arrived {
  return {
    incoming: incomingOf(job.id, parsed(fieldOf(job, 'data') ?? ''), Number(fieldOf(job, 'atm') ?? 0)),
    crashes: Number(fieldOf(job, 'stc') ?? 0),
  }
}

function fieldOf({ fields }: TakenJob, name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1]
  return undefined
}

/** BullMQ marks a job that has stalled too often, and fails it when it is fetched. */
function isGivenUp(job: TakenJob): boolean {
  return fieldOf(job, 'defa') !== undefined
}

async function failGivenUp({ worker, token, log }: Batch, jobs: readonly TakenJob[]): Promise<void> {
  for (const job of jobs) {
    await worker
      .jobOf(job)
      .moveToFailed(new UnrecoverableError(fieldOf(job, 'defa')), token)
      .catch((error) => log.warn({ err: error }, 'a job cannot be failed'))
  }
}

/** Data that is no JSON arrives as the text that it is. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function incomingOf(jobId: string, data: unknown, attemptsMade: number): Incoming {
  const attempt = attemptsMade + 1
  return { jobId, data, attempt, isLastAttempt: attempt >= ATTEMPTS }
}

/** Lets BullMQ fail what has failed, and put off what is to wait. */
async function settleUnusual(
  { worker, token, log }: Batch,
  jobs: readonly TakenJob[],
  results: readonly HandleResult[],
): Promise<void> {
  const settling = jobs.map(async (job, index) => {
    const result = results[index]
    if (result?.kind === 'delayed') await worker.jobOf(job).moveToDelayed(Date.now() + result.ms, token)
    if (result?.kind === 'failed') await worker.jobOf(job).moveToFailed(failureOf(result.error), token)
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
async function complete({ worker, taker, token, log }: Batch, ids: readonly string[]): Promise<string[]> {
  while (ids.length > 0) {
    try {
      const lost = await taker.finish(token, ids)
      if (lost.length === 0) return [...ids]
      log.debug({ jobs: lost.length }, 'jobs had lost their lock when they were completed')
      return ids.filter((id) => !lost.includes(id))
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

async function closeWorker(worker: Worker, limitMs: number, log: Log): Promise<void> {
  await withDeadline(worker.close(), limitMs, 'closing a queue worker').catch((error) => {
    log.warn({ err: error }, 'jobs under way are left to another worker')
  })
}

/**
 * A connection for workers, each of which duplicates it for its blocking read. These are ended here as well: while
 * Redis is away BullMQ leaves them reconnecting for ever.
 */
function connectForWorkers(url: string, log: Log) {
  const client = connectRedis(url, 'worker') as Redis
  const clients = [client]
  const duplicate = client.duplicate.bind(client)
  client.duplicate = (override) => {
    const copy = duplicate(override)
    clients.push(copy)
    return copy
  }
  client.on('error', (error) => log.debug({ err: error }, 'Redis connection'))
  let isUp: boolean | undefined
  client.on('ready', () => {
    if (isUp === false) log.info('Redis answers again')
    isUp = true
  })
  client.on('close', () => {
    if (isUp !== false) log.warn('Redis does not answer; jobs wait there, the inbox is drained meanwhile')
    isUp = false
  })
  return {
    client,
    disconnect() {
      client.removeAllListeners('close')
      for (const each of clients) each.disconnect()
    },
  }
}
