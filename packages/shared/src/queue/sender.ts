import { hash } from 'node:crypto'
import { Queue } from 'bullmq'
import type { Envelope } from '../idwise/envelope.ts'
import { withDeadline } from '../runtime/backoff.ts'
import { type Batcher, createBatcher } from '../runtime/batch.ts'
import type { Log } from '../runtime/log.ts'
import { createCollapsedCount } from './collapsed.ts'
import { connectRedis, type RedisClient, readyWithin } from './connection.ts'
import { EVENT_STREAM_LENGTH, QUEUE_NAME, shardPrefix } from './options.ts'

/** An event on its way into the queue. */
export type Outgoing = {
  readonly jobId: string
  /** Hex; null for an event without id. */
  readonly eventKey: string | null
  /** Hex. */
  readonly bodySha256: string
  /** Events of one journey go to one shard. */
  readonly journeyId: string | null
  readonly envelope: Envelope
}

export type QueueSender = {
  /**
   * Resolves once Redis has acknowledged the job. Rejects at once where Redis is not reachable and after 700 ms where
   * it does not answer; the job may then exist all the same.
   */
  add(event: Outgoing): Promise<void>
  /** Resolves when Redis can be used, or after `ms`, whichever comes first. */
  ready(ms: number): Promise<boolean>
  readonly isReady: boolean
} & AsyncDisposable

export type QueueLocation = { url: string; prefix: string; shards: number }

const ADD_DEADLINE_MS = 700

/** The ingest's side of the queue: fails fast, and adds concurrent events in one round trip. */
export function createQueueSender({ url, prefix, shards }: QueueLocation, log: Log): QueueSender {
  const client = connectRedis(url, 'ingest')
  client.on('error', (error) => log.debug({ err: error }, 'Redis connection'))
  const lanes = Array.from({ length: shards }, (_, shard) =>
    createLane(client, shardPrefix(prefix, shard), log),
  )
  return {
    add(event) {
      const lane = lanes[shardOf(event, shards)] as Lane
      return withDeadline(lane.batcher.add(event), ADD_DEADLINE_MS, 'adding to the queue')
    },
    ready: (ms) => readyWithin(client, ms),
    get isReady() {
      return client.status === 'ready'
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(
        lanes.map((lane) => withDeadline(lane.close(), 1_000, 'closing the queue').catch(() => {})),
      )
      client.disconnect()
    },
  }
}

type Lane = { batcher: Batcher<Outgoing, void>; close(): Promise<void> }

function createLane(client: RedisClient, prefix: string, log: Log): Lane {
  const queue = new Queue(QUEUE_NAME, {
    connection: client,
    prefix,
    // Only this pair makes an add fail fast while Redis is away and work again once it is back.
    skipWaitingForReady: true,
    skipVersionCheck: true,
    streams: { events: { maxLen: EVENT_STREAM_LENGTH } },
  })
  queue.on('error', () => {})
  const collapsed = createCollapsedCount(client, prefix, log)
  const batcher = createBatcher<Outgoing, void>({
    maxItems: 100,
    concurrency: 4,
    async run(events) {
      // Not atomic: where it rejects, each of these events may or may not be stored.
      await queue.addBulk(
        events.map(({ jobId, envelope }) => ({ name: envelope.arrival, data: envelope, opts: { jobId } })),
      )
      collapsed.note(events)
      return events.map(() => ({ status: 'fulfilled', value: undefined }))
    },
  })
  return {
    batcher,
    async close() {
      await collapsed.flush()
      await queue.close()
    },
  }
}

function shardOf({ journeyId, jobId }: Outgoing, shards: number): number {
  return shards === 1 ? 0 : hash('sha256', journeyId ?? jobId, 'buffer').readUInt32BE() % shards
}
