import { DelayedError, type Job, type Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { withDeadline } from '../runtime/backoff.ts'
import { describeError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { connectRedis } from './connection.ts'
import { EventWorker } from './event-worker.ts'
import { finishingTogether } from './finish.ts'
import { ATTEMPTS, QUEUE_NAME, shardPrefix, WORKER_OPTIONS } from './options.ts'
import type { QueueLocation } from './sender.ts'
import { createSolo } from './solo.ts'

export type Incoming = {
  readonly jobId: string
  /** What the job carries: an envelope, unless somebody else has written to Redis. */
  readonly data: unknown
  /** This is the n-th try that counts, from 1. */
  readonly attempt: number
  readonly isLastAttempt: boolean
}

/** `completed`, or `delayed` by so many ms without using up an attempt. A throw uses one up. */
export type HandleResult = { kind: 'completed' } | { kind: 'delayed'; ms: number }

export type QueueReceiver = {
  /** Stops fetching until as many calls of `resume`; jobs under way go on. */
  pause(): void
  resume(): void
} & AsyncDisposable

const CLOSE_LIMIT_MS = 20_000

/**
 * The worker's side of the queue: waits for Redis for ever and handles up to `concurrency` jobs of each shard at once.
 * Closing waits for the jobs under way; what is not done after 20 s stays with Redis and is handed to another worker.
 */
export function createQueueReceiver(
  location: QueueLocation & { consume?: readonly number[] },
  handle: (job: Incoming) => Promise<HandleResult>,
  { concurrency, log }: { concurrency: number; log: Log },
): QueueReceiver {
  const { client, disconnect } = connectForWorkers(location.url, log)
  let holds = 0
  const fetching = {
    hold() {
      if (holds++ === 0) for (const worker of workers) void worker.pause(true)
    },
    release() {
      if (--holds === 0) for (const worker of workers) worker.resume()
    },
  }
  const solo = createSolo(fetching)
  const shards = location.consume ?? Array.from({ length: location.shards }, (_, shard) => shard)
  const workers = shards.map((shard) => {
    const worker = new EventWorker(
      QUEUE_NAME,
      (job, token) => process(job, token, (incoming) => solo(job.stalledCounter, () => handle(incoming))),
      {
        connection: client,
        prefix: shardPrefix(location.prefix, shard),
        concurrency,
        ...WORKER_OPTIONS,
      },
      finishingTogether(client, shardPrefix(location.prefix, shard)),
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

async function process(
  job: Job,
  token: string | undefined,
  handle: (job: Incoming) => Promise<HandleResult>,
): Promise<void> {
  const attempt = job.attemptsMade + 1
  let result: HandleResult
  try {
    result = await handle({
      jobId: String(job.id),
      data: job.data,
      attempt,
      isLastAttempt: attempt >= ATTEMPTS,
    })
  } catch (error) {
    // BullMQ stores message and stack in Redis; a driver's message may carry the row.
    const { name, message } = describeError(error)
    throw new Error(`${name}: ${message}`)
  }
  if (result.kind === 'completed') return
  await job.moveToDelayed(Date.now() + result.ms, token)
  throw new DelayedError()
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
