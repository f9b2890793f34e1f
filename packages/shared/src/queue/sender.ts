import { hash } from 'node:crypto'
import type { Envelope } from '../idwise/envelope.ts'
import { DeadlineError, withDeadline } from '../runtime/backoff.ts'
import { type Batcher, createBatcher } from '../runtime/batch.ts'
import type { Log } from '../runtime/log.ts'
import { createAdd, MAX_JOBS_PER_ADD, type NewJob } from './add.ts'
import { countCollapsed } from './collapsed.ts'
import { connectRedis, type RedisClient, readyWithin } from './connection.ts'
import { shardPrefix } from './options.ts'

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
      const { jobId, envelope } = event
      const job = { jobId, name: envelope.arrival, data: JSON.stringify(envelope), event }
      return lane.batcher.add(job)
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

type Lane = { batcher: Batcher<OutgoingJob, void>; close(): Promise<void> }
type OutgoingJob = NewJob & { readonly event: Outgoing }

const MAX_BATCH_BYTES = 1_000_000
/** How far apart batches begin, at least: at 2,000 events a second each ms less costs a tenth more CPU, each more hardly less. */
const SPACING_MS = 3

function createLane(client: RedisClient, prefix: string, log: Log): Lane {
  const add = createAdd(client, prefix)
  const counting = new Set<Promise<void>>()
  /** No part of the promise: the events are stored, so neither a failure nor a delay here may hold up their answers. */
  function count(collapsed: readonly Outgoing[]): void {
    const work = countCollapsed(client, prefix, collapsed)
      .catch((error) => log.warn({ err: error, events: collapsed.length }, 'redeliveries were not counted'))
      .finally(() => counting.delete(work))
    counting.add(work)
  }
  const batcher = createBatcher<OutgoingJob, void>({
    maxItems: MAX_JOBS_PER_ADD,
    maxWeight: MAX_BATCH_BYTES,
    weigh: ({ data }) => data.length,
    concurrency: 4,
    spacingMs: SPACING_MS,
    deadlineMs: ADD_DEADLINE_MS,
    late: () => new DeadlineError(`adding to the queue took longer than ${ADD_DEADLINE_MS} ms`),
    async run(jobs) {
      // Where it rejects, all of them or none may be stored.
      const collapsed = await add(jobs)
      if (collapsed.length > 0) count(collapsed.map((index) => (jobs[index] as OutgoingJob).event))
      return jobs.map(() => ({ status: 'fulfilled', value: undefined }))
    },
  })
  return { batcher, close: async () => void (await Promise.all(counting)) }
}

function shardOf({ journeyId, jobId }: Outgoing, shards: number): number {
  return shards === 1 ? 0 : hash('sha256', journeyId ?? jobId, 'buffer').readUInt32BE() % shards
}
