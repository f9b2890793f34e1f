import { withDeadline } from '../runtime/backoff.ts'
import type { Log } from '../runtime/log.ts'
import type { EndStage } from '../runtime/metrics.ts'
import type { BatchTrace, Traces } from '../runtime/traces.ts'
import type { HandleResult, QueueJob } from './bullmq/batch.ts'
import { createCompletedLimit } from './bullmq/completed-limit.ts'
import type { EventWorker } from './bullmq/event-worker.ts'
import { shardPrefix } from './bullmq/keys.ts'
import { quarantineSuspects } from './bullmq/quarantine.ts'
import { createShardWorker } from './bullmq/shard-worker.ts'
import { connectRedis, type RedisClient } from './connection.ts'
import type { QueueLocation } from './producer.ts'

export type QueueConsumer = {
  /** Stops fetching until `resume` has been called as often; running jobs go on. */
  pause(): void
  resume(): void
} & AsyncDisposable

const BATCHES = 4
const CLOSE_LIMIT_MS = 20_000

/**
 * The worker's side of the queue. It waits for Redis for ever, and handles up to `concurrency` jobs of each shard at
 * once, in four batches. Disposing waits for running batches; after 20 s their jobs stay in Redis for another worker.
 *
 * @param handle gives a result for each job, in order
 * @param options.startBatch measures the stages of each batch
 */
export function createQueueConsumer(
  location: QueueLocation & { consume?: readonly number[] },
  handle: (jobs: readonly QueueJob[], trace?: BatchTrace) => Promise<HandleResult[]>,
  options: {
    concurrency: number
    traces?: Traces | undefined
    startBatch?: () => EndStage
    log: Log
  },
): QueueConsumer {
  const { concurrency, traces, startBatch, log } = options
  const { client, disconnect } = connectForWorkers(location.url, log)
  const batches = Math.min(BATCHES, concurrency)
  let holds = 0
  const fetching = {
    hold() {
      if (holds++ === 0) for (const worker of workers) void worker.pause(true)
    },
    release() {
      if (--holds === 0) for (const worker of workers) worker.resume()
    },
  }
  const ofShards = {
    batches,
    batchSize: Math.floor(concurrency / batches),
    handleAll: quarantineSuspects(fetching, handle),
    mostCompleted: createCompletedLimit(client, location.shards),
    traces,
    startBatch,
    log,
  }
  const shards = location.consume ?? Array.from({ length: location.shards }, (_, shard) => shard)
  const workers = shards.map((shard) =>
    createShardWorker(client, shardPrefix(location.prefix, shard), ofShards),
  )
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

async function closeWorker(worker: EventWorker, limitMs: number, log: Log): Promise<void> {
  await withDeadline(worker.close(), limitMs, 'closing a queue worker').catch((error) => {
    log.warn({ err: error }, 'jobs under way are left to another worker')
  })
}

/**
 * A connection for workers. Each of them copies it for its blocking read, and while Redis is away BullMQ lets the
 * copies reconnect for ever. So `disconnect` ends the copies as well.
 */
function connectForWorkers(url: string, log: Log) {
  const client = connectRedis(url, 'worker')
  const clients: RedisClient[] = [client]
  // A cluster's client takes other arguments than that of one Redis.
  const duplicate: (...args: never[]) => RedisClient = client.duplicate.bind(client)
  Object.assign(client, {
    duplicate(...args: never[]) {
      const copy = duplicate(...args)
      clients.push(copy)
      return copy
    },
  })
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
