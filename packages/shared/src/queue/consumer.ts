import type { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { SUSPECT_AFTER } from '../disposition.ts'
import { withDeadline } from '../runtime/backoff.ts'
import { pause } from '../runtime/every.ts'
import type { Log } from '../runtime/log.ts'
import { createWorkerBackend } from './bullmq/backend.ts'
import {
  type ClaimedQueueJob,
  type HandleAll,
  type HandleResult,
  processBatch,
  type QueueJob,
} from './bullmq/batch.ts'
import { createJobClaimer } from './bullmq/claim.ts'
import { createCompletedLimit } from './bullmq/completed-limit.ts'
import { EventWorker } from './bullmq/event-worker.ts'
import { QUEUE_NAME, shardPrefix, WORKER_OPTIONS } from './bullmq/options.ts'
import { createSolo } from './bullmq/quarantine.ts'
import { connectRedis } from './connection.ts'
import type { QueueLocation } from './producer.ts'

export type QueueConsumer = {
  /** Stops fetching until as many calls of `resume`; jobs under way go on. */
  pause(): void
  resume(): void
} & AsyncDisposable

const BATCHES = 4
const CLOSE_LIMIT_MS = 20_000
/** How far apart batches of a shard begin, at least: at a steady trickle each would be for one job, and cost as much as one for many. */
const SPACING_MS = 20

/**
 * The worker's side of the queue: waits for Redis for ever and handles up to `concurrency` jobs of each shard at once, in
 * four batches. BullMQ fetches the first job of each; what else waits then comes with it. Closing waits for the batches
 * under way; what is not done after 20 s stays with Redis and is handed to another worker.
 *
 * @param handle gives a result for each job, in order
 */
export function createQueueConsumer(
  location: QueueLocation & { consume?: readonly number[] },
  handle: (jobs: readonly QueueJob[]) => Promise<HandleResult[]>,
  { concurrency, log }: { concurrency: number; log: Log },
): QueueConsumer {
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
  const handleAll = quarantineSuspects(createSolo(fetching), handle)
  const mostCompleted = createCompletedLimit(client, location.shards)
  const shards = location.consume ?? Array.from({ length: location.shards }, (_, shard) => shard)
  const workers = shards.map((shard) => {
    const prefix = shardPrefix(location.prefix, shard)
    const claimer = createJobClaimer(client, prefix, { mostCompleted, onRefused: onceOfEach(log) })
    const closing = new AbortController()
    const completed = new Set<string>()
    const turn = createTurns(SPACING_MS)
    const worker: EventWorker = new EventWorker(
      QUEUE_NAME,
      async (job, token = '') => {
        const batch = { worker, claimer, token, turn, log }
        if (await processBatch(batch, job, batchSize, handleAll)) completed.add(String(job.id))
      },
      { connection: client, prefix, concurrency: batches, ...WORKER_OPTIONS },
      createWorkerBackend({ completed, claimer, closing: closing.signal }),
    )
    worker.on('closing', () => closing.abort())
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

/** Tells each kind of refusal once: what Redis says of a script names no job. */
function onceOfEach(log: Log): (error: Error) => void {
  const told = new Set<string>()
  return ({ message }) => {
    const said = message.replace(/,? (script:|on @|Error running script).*/s, '')
    if (told.has(said)) return
    told.add(said)
    log.warn({ said }, 'jobs cannot be taken in batches; those that wait stay there')
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

/** Handles jobs together, but each one that is suspected by itself. */
function quarantineSuspects(
  solo: ReturnType<typeof createSolo>,
  handle: (jobs: readonly QueueJob[]) => Promise<HandleResult[]>,
): HandleAll {
  return async (jobs) => {
    const isSuspect = ({ crashes }: ClaimedQueueJob) => crashes >= SUSPECT_AFTER
    const groups = [jobs.filter((job) => !isSuspect(job)), ...jobs.filter(isSuspect).map((job) => [job])]
    const results = new Map<ClaimedQueueJob, HandleResult>()
    async function handleGroup(group: readonly ClaimedQueueJob[]): Promise<void> {
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
