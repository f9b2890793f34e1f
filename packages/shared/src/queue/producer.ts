import { hash } from 'node:crypto'
import { type Envelope, writeEnvelope } from '../envelope.ts'
import { DeadlineError, withDeadline } from '../runtime/backoff.ts'
import { createBatcher } from '../runtime/batch.ts'
import { describeError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { createBreaker } from './breaker.ts'
import { type EncodedJob, MAX_JOBS_PER_ADD } from './bullmq/add.ts'
import { shardPrefix } from './bullmq/keys.ts'
import { noteRedeliveries } from './bullmq/redeliveries.ts'
import type { Acks } from './replicas.ts'
import { createConfirmedAdd } from './replication.ts'
import { createLinks, type Link } from './shard-connection.ts'

/** An event on its way into the queue. */
export type NewJob = {
  readonly jobId: string
  /** Hex; null for an event without id. */
  readonly eventKey: string | null
  /** Hex. */
  readonly bodySha256: string
  /** Events of one journey go to one shard. */
  readonly journeyId: string | null
  readonly envelope: Envelope
}

export type QueueProducer = {
  /**
   * Resolves once Redis has acknowledged the job, and as many replicas as `acks` asks for. Rejects at once where the
   * shard's Redis is not reachable or its breaker is open, and after 700 ms where it does not answer; the job may then
   * exist all the same.
   */
  add(event: NewJob): Promise<void>
  /** Resolves when Redis can be used, or after `ms`, whichever comes first. */
  ready(ms: number): Promise<boolean>
  /** Whether any shard can take events. */
  readonly isReady: boolean
  /** `up`, `down`, or such as `2 of 8 shards down`. */
  readonly health: string
} & AsyncDisposable

export type QueueLocation = { url: string; prefix: string; shards: number; acks?: Acks }

const ADD_DEADLINE_MS = 700

/** The ingest's side of the queue: fails fast, and adds concurrent events in one round trip. */
export function createQueueProducer(location: QueueLocation, log: Log): QueueProducer {
  const { prefix, shards } = location
  const links = createLinks(location, log)
  const lanes = Array.from({ length: shards }, (_, shard) => {
    const ofShard = shards === 1 ? {} : { shard }
    return createLane(links.create(shardPrefix(prefix, shard)), shardPrefix(prefix, shard), { log, ofShard })
  })
  return {
    add(event) {
      const { jobId, envelope } = event
      const lane = lanes[shardOf(event, shards)] as Lane
      return lane.add({ jobId, name: envelope.deliveryId, data: writeEnvelope(envelope), event })
    },
    async ready(ms) {
      await withDeadline(links.usable, ms, 'connecting to Redis').catch(() => {})
      return lanes.some((lane) => lane.isUsable)
    },
    get isReady() {
      return lanes.some((lane) => lane.isUsable)
    },
    get health() {
      const down = lanes.filter((lane) => !lane.isUp).length
      return down === 0 ? 'up' : down === shards ? 'down' : `${down} of ${shards} shards down`
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(
        lanes.map((lane) => withDeadline(lane.close(), 1_000, 'closing the queue').catch(() => {})),
      )
      for (const lane of lanes) lane.end()
      links.close()
    },
  }
}

type Lane = {
  add(job: PendingJob): Promise<void>
  /** Has a connection that it may use. */
  readonly isUsable: boolean
  /** And events that are added now would go there. */
  readonly isUp: boolean
  close(): Promise<void>
  end(): void
}
type PendingJob = EncodedJob & { readonly event: NewJob }

const MAX_BATCH_BYTES = 1_000_000
/** How far apart batches begin, at least: at 2,000 events a second each ms less costs a tenth more CPU, each more hardly less. */
const SPACING_MS = 3
const BATCHES = 4

function createLane(
  link: Link,
  prefix: string,
  { log, ofShard }: { log: Log; ofShard: { shard?: number } },
): Lane {
  const confirmed = createConfirmedAdd(prefix)
  let reason: unknown
  const breaker = createBreaker((open) => {
    const fields = open ? { ...ofShard, error: describeError(reason) } : ofShard
    if (open) log.warn(fields, 'Redis fails; events go to the inbox in Postgres')
    else log.info(fields, 'Redis works again')
  })
  const isOpen = new Error('Redis has failed, and is not tried again yet')
  function failed(error: unknown, events: number): void {
    reason = error
    breaker.failed(events)
  }
  const counting = new Set<Promise<void>>()
  /** No part of the promise: the events are stored, so neither a failure nor a delay here may hold up their answers. */
  function count(collapsed: readonly NewJob[]): void {
    const work = link
      .use((client) => noteRedeliveries(client, prefix, collapsed))
      .catch((error) => log.warn({ err: error, events: collapsed.length }, 'redeliveries were not counted'))
      .finally(() => counting.delete(work))
    counting.add(work)
  }
  const batcher = createBatcher<PendingJob, void>({
    maxItems: MAX_JOBS_PER_ADD,
    maxWeight: MAX_BATCH_BYTES,
    weigh: ({ data }) => data.length,
    // With replicas to wait for, further batches would only wait at Redis, and be smaller.
    concurrency: () => (link.acks > 0 ? 1 : BATCHES),
    spacingMs: SPACING_MS,
    deadlineMs: ADD_DEADLINE_MS,
    late() {
      const error = new DeadlineError(`adding to the queue took longer than ${ADD_DEADLINE_MS} ms`)
      failed(error, 1)
      return error
    },
    async run(jobs) {
      try {
        // Where it rejects, all of them or none may be stored.
        const collapsed = await link.use((client, acks) => confirmed(client, acks, jobs))
        breaker.succeeded()
        if (collapsed.length > 0) count(collapsed.map((index) => (jobs[index] as PendingJob).event))
      } catch (error) {
        failed(error, jobs.length)
        throw error
      }
      return jobs.map(() => ({ status: 'fulfilled', value: undefined }))
    },
  })
  return {
    add: (job) => (breaker.allows() ? batcher.add(job) : Promise.reject(isOpen)),
    get isUsable() {
      return link.isUsable
    },
    get isUp() {
      return link.isUsable && !breaker.isRefusing
    },
    close: async () => void (await Promise.all(counting)),
    end: link.close,
  }
}

function shardOf({ journeyId, jobId }: NewJob, shards: number): number {
  return shards === 1 ? 0 : hash('sha256', journeyId ?? jobId, 'buffer').readUInt32BE() % shards
}
