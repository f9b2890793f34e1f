import { hash } from 'node:crypto'
import { type Envelope, writeEnvelope } from '../envelope.ts'
import type { Identity } from '../idwise/identity.ts'
import { DeadlineError, withDeadline } from '../runtime/backoff.ts'
import { createBatcher } from '../runtime/batch.ts'
import { createCircuit } from '../runtime/circuit.ts'
import { describeError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { type EncodedJob, MAX_JOBS_PER_ADD } from './bullmq/add.ts'
import { shardPrefix } from './bullmq/keys.ts'
import { noteRedeliveries } from './bullmq/redeliveries.ts'
import type { Acks } from './replicas.ts'
import { createConfirmedAdd } from './replication.ts'
import { createLinks, type Link } from './shard-connection.ts'

/** A job to add. */
export type NewJob = Identity & {
  /** Events of one journey go to one shard. */
  readonly journeyId: string | null
  readonly envelope: Envelope
}

export type QueueProducer = {
  /**
   * Resolves once Redis has acknowledged the job, and as many replicas as `acks` asks for. Rejects at once if the
   * Redis of the shard cannot be reached or its circuit is open, and after 700 ms if it does not answer; the job may
   * then exist all the same.
   */
  add(event: NewJob): Promise<void>
  /** Resolves with true as soon as Redis can be used, with false after `ms`. */
  ready(ms: number): Promise<boolean>
  /** Whether any of the shards can take events. */
  readonly isReady: boolean
  /** `up`, `down`, or such as `2 of 8 shards down`. */
  readonly health: string
  /** By the number of the shard. */
  readonly isUp: readonly boolean[]
} & AsyncDisposable

export type QueueLocation = { url: string; prefix: string; shards: number; acks?: Acks }

const ADD_DEADLINE_MS = 700
const COUNT_LIMIT_MS = 1_000

/** Fails fast, and adds events that come at the same time in one round trip. */
export function createQueueProducer(
  location: QueueLocation,
  log: Log,
  { redelivered }: { redelivered?(events: number): void } = {},
): QueueProducer {
  const { prefix, shards } = location
  const links = createLinks(location, log)
  const producers = Array.from({ length: shards }, (_, shard) => {
    const ofShard = shards === 1 ? {} : { shard }
    const prefixOfShard = shardPrefix(prefix, shard)
    return createShardProducer(links.create(prefixOfShard), prefixOfShard, { log, ofShard, redelivered })
  })
  return {
    add(event) {
      const { jobId, envelope } = event
      const producer = producers[shardOf(event, shards)] as ShardProducer
      return producer.add({ jobId, name: envelope.deliveryId, data: writeEnvelope(envelope), event })
    },
    async ready(ms) {
      await withDeadline(links.usable, ms, 'connecting to Redis').catch(() => {})
      return producers.some(({ isUsable }) => isUsable)
    },
    get isReady() {
      return producers.some(({ isUsable }) => isUsable)
    },
    get isUp() {
      return producers.map(({ isUp }) => isUp)
    },
    get health() {
      const down = producers.filter(({ isUp }) => !isUp).length
      return down === 0 ? 'up' : down === shards ? 'down' : `${down} of ${shards} shards down`
    },
    async [Symbol.asyncDispose]() {
      const counting = producers.map((producer) => producer.counted())
      await withDeadline(Promise.all(counting), COUNT_LIMIT_MS, 'counting redeliveries').catch(() => {})
      for (const producer of producers) producer.close()
      links.close()
    },
  }
}

type ShardProducer = {
  add(job: PendingJob): Promise<void>
  /** Whether there is a connection that may be used. */
  readonly isUsable: boolean
  /** Whether an event that is added now goes to Redis, as far as is known. */
  readonly isUp: boolean
  /** Resolves when the redeliveries of all events that were added are counted. */
  counted(): Promise<unknown>
  close(): void
}
type PendingJob = EncodedJob & { readonly event: NewJob }

const MAX_BATCH_BYTES = 1_000_000
/**
 * The shortest time from the start of a batch to that of the next one. At 2,000 events a second each ms less costs a
 * tenth more CPU, and each ms more saves hardly any.
 */
const SPACING_MS = 3
const BATCHES = 4

function createShardProducer(
  link: Link,
  prefix: string,
  {
    log,
    ofShard,
    redelivered,
  }: { log: Log; ofShard: { shard?: number }; redelivered: ((events: number) => void) | undefined },
): ShardProducer {
  const confirmedAdd = createConfirmedAdd(prefix)
  const circuit = createCircuit({
    maxFailures: 5,
    withinMs: 2_000,
    // Spread, so that many ingests do not make their trials at the same time.
    openMs: () => 700 + Math.random() * 600,
    successesToClose: 3,
    onOpen(error) {
      const fields = { ...ofShard, error: describeError(error) }
      log.warn(fields, 'Redis fails; events go to the inbox in Postgres')
    },
    onClose: () => log.info(ofShard, 'Redis works again'),
  })
  const refusal = new Error('Redis has failed, and is not tried again yet')
  const counting = new Set<Promise<void>>()
  /** The events are stored, so neither a failure nor a delay here may hold up their answers. */
  function count(collapsed: readonly NewJob[]): void {
    redelivered?.(collapsed.length)
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
    // If replicas confirm each batch, further batches would only wait at Redis, and be smaller.
    concurrency: () => (link.acks > 0 ? 1 : BATCHES),
    spacingMs: SPACING_MS,
    deadlineMs: ADD_DEADLINE_MS,
    late() {
      const error = new DeadlineError(`adding to the queue took longer than ${ADD_DEADLINE_MS} ms`)
      circuit.failed(error)
      return error
    },
    async run(jobs) {
      try {
        // If this rejects, all of the jobs or none may be stored.
        const collapsed = await link.use((client, acks) => confirmedAdd(client, acks, jobs))
        circuit.succeeded()
        if (collapsed.length > 0) count(collapsed.map((index) => (jobs[index] as PendingJob).event))
      } catch (error) {
        circuit.failed(error, jobs.length)
        throw error
      }
      return jobs.map(() => ({ status: 'fulfilled', value: undefined }))
    },
  })
  return {
    add: (job) => (circuit.allows() ? batcher.add(job) : Promise.reject(refusal)),
    get isUsable() {
      return link.isUsable
    },
    get isUp() {
      return link.isUsable && circuit.state !== 'open'
    },
    counted: () => Promise.all(counting),
    close: link.close,
  }
}

function shardOf({ journeyId, jobId }: NewJob, shards: number): number {
  return shards === 1 ? 0 : hash('sha256', journeyId ?? jobId, 'buffer').readUInt32BE() % shards
}
