import type { Redeliveries } from '../idwise/identity.ts'
import { withDeadline } from '../runtime/backoff.ts'
import type { Log } from '../runtime/log.ts'
import { type AllJobs, createAllJobs } from './bullmq/all-jobs.ts'
import { type CompletedJob, createBodies } from './bullmq/bodies.ts'
import { type FailedJob, sweepFailedJobs } from './bullmq/failed-jobs.ts'
import { queueKeys, shardPrefix } from './bullmq/keys.ts'
import { BODIES_STAY_MS } from './bullmq/options.ts'
import {
  addCounts,
  countJobs,
  NO_JOBS,
  oldestJob,
  openQueue,
  type QueueCounts,
  removeOldJobs,
} from './bullmq/queue.ts'
import { moveRedeliveries } from './bullmq/redeliveries.ts'
import { createRescue, type Rescued } from './bullmq/rescue.ts'
import { createSomeJobs, type QueuedJob } from './bullmq/some-jobs.ts'
import { connectRedis, readyWithin } from './connection.ts'
import type { QueueLocation } from './producer.ts'
import { type NodeFigures, readServers } from './servers.ts'
import { createToldNote, type ToldNote } from './told.ts'

/** Maintains the shards outside of the flow of jobs. Its commands fail fast. */
export type QueueAdmin = {
  /** Resolves with true once Redis can be used, with false after `ms`. */
  ready(ms: number): Promise<boolean>
  counts(): Promise<QueueCounts>
  /** The same for each shard. */
  countsOfShards(): Promise<QueueCounts[]>
  /** What each master tells of its memory and its replicas. */
  servers(): Promise<NodeFigures[]>
  /** When the job was added that has waited longest, ms since 1970; undefined if none waits. */
  oldest(): Promise<number | undefined>
  /** The same for each shard. */
  oldestOfShards(): Promise<(number | undefined)[]>
  /** What schedulers tell each other while Postgres is away. */
  readonly told: ToldNote
  /** The queue of each shard, for a board that shows them as BullMQ does. */
  queues(): readonly ReturnType<typeof openQueue>[]
  /** Removes completed jobs after an hour. Finishing removes them too, but not while nothing is finished. */
  removeOldJobs(): Promise<void>
  /** Removes the bodies of completed jobs that ended at least so many ms ago. */
  stripBodies(olderThanMs?: number): Promise<void>
  /** The jobs that were completed within the last so many ms. */
  completedSince(ms: number): AsyncGenerator<CompletedJob>
  /** The jobs of every state, shard by shard, with a way to remove those that no worker has claimed. */
  allJobs(): readonly AllJobs[]
  /** Jobs that wait, at most so many of each shard. `isAll`: there are no others. */
  sampleWaiting(limit: number): Promise<{ jobs: QueuedJob[]; isAll: boolean }>
  /** Those of these jobs that are in the queue. */
  findJobs(jobIds: readonly string[]): Promise<QueuedJob[]>
  /** Lets jobs wait again that are in no list, or that a wrong clock had delayed; see `createRescue`. */
  rescueLost(): Promise<Rescued>
  /** Calls `handle` with each failed job, and removes the job once that has resolved. */
  sweepFailed(handle: (job: FailedJob) => Promise<void>): Promise<number>
  /** Moves the counts of redeliveries to `record`; see `moveRedeliveries`. */
  moveRedeliveries(record: (counts: Redeliveries[]) => Promise<boolean[]>): Promise<number>
} & AsyncDisposable

export function createQueueAdmin({ url, prefix, shards: count }: QueueLocation, log: Log): QueueAdmin {
  const client = connectRedis(url, 'ingest')
  client.on('error', (error) => log.debug({ err: error }, 'Redis connection'))
  const shards = Array.from({ length: count }, (_, shard) => {
    const prefixOfShard = shardPrefix(prefix, shard)
    return {
      prefix: prefixOfShard,
      keys: queueKeys(prefixOfShard),
      queue: openQueue(client, prefixOfShard),
      bodies: createBodies(client, prefixOfShard),
      rescue: createRescue(client, prefixOfShard),
      allJobs: createAllJobs(client, prefixOfShard),
      someJobs: createSomeJobs(client, prefixOfShard),
    }
  })

  /** Goes on with the other shards if one fails, and rejects at the end with the first error. */
  async function eachShard(work: (shard: (typeof shards)[number]) => Promise<unknown>): Promise<void> {
    const errors: unknown[] = []
    for (const shard of shards) await work(shard).catch((error) => errors.push(error))
    if (errors.length > 0) throw errors[0]
  }

  const countsOfShards = () => Promise.all(shards.map(({ queue }) => countJobs(queue)))
  const oldestOfShards = () => Promise.all(shards.map(({ prefix }) => oldestJob(client, prefix)))

  return {
    ready: (ms) => readyWithin(client, ms),
    async counts() {
      return (await countsOfShards()).reduce(addCounts, NO_JOBS)
    },
    countsOfShards,
    servers: () => readServers(client),
    async oldest() {
      const known = (await oldestOfShards()).filter((time) => time !== undefined)
      return known.length > 0 ? Math.min(...known) : undefined
    },
    oldestOfShards,
    told: createToldNote(client, shardPrefix(prefix, 0)),
    queues: () => shards.map(({ queue }) => queue),
    removeOldJobs: () => eachShard(({ queue }) => removeOldJobs(queue)),
    stripBodies: (olderThanMs = BODIES_STAY_MS) => eachShard(({ bodies }) => bodies.strip(olderThanMs)),
    async *completedSince(ms) {
      for (const { bodies } of shards) yield* bodies.since(ms)
    },
    allJobs: () => shards.map(({ allJobs }) => allJobs),
    async sampleWaiting(limit) {
      const ofShards = await Promise.all(shards.map(({ someJobs }) => someJobs.waiting(limit)))
      return { jobs: ofShards.flatMap(({ jobs }) => jobs), isAll: ofShards.every(({ isAll }) => isAll) }
    },
    async findJobs(jobIds) {
      if (jobIds.length === 0) return []
      return (await Promise.all(shards.map(({ someJobs }) => someJobs.byId(jobIds)))).flat()
    },
    async rescueLost() {
      const total = { back: 0, forgotten: 0, early: 0 }
      for (const { rescue } of shards) {
        const { back, forgotten, early } = await rescue().catch((error) => {
          log.debug({ err: error }, 'a shard cannot be searched for lost jobs; others are')
          return { back: 0, forgotten: 0, early: 0 }
        })
        total.back += back
        total.forgotten += forgotten
        total.early += early
      }
      return total
    },
    async sweepFailed(handle) {
      let swept = 0
      for (const shard of shards) swept += await sweepFailedJobs(client, shard, handle, log)
      return swept
    },
    async moveRedeliveries(record) {
      let moved = 0
      for (const shard of shards) moved += await moveRedeliveries(client, shard.prefix, record)
      return moved
    },
    async [Symbol.asyncDispose]() {
      const closing = shards.map(({ queue }) => withDeadline(queue.close(), 1_000, 'closing').catch(() => {}))
      await Promise.all(closing)
      client.disconnect()
    },
  }
}
