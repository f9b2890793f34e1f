import { Queue } from 'bullmq'
import { withDeadline } from '../runtime/backoff.ts'
import { failpoint } from '../runtime/failpoint.ts'
import type { Log } from '../runtime/log.ts'
import { BODIES_STAY_MS, type CompletedJob, createBodies } from './bullmq/bodies.ts'
import { EVENT_STREAM_LENGTH, JOB_OPTIONS, QUEUE_NAME, shardPrefix } from './bullmq/options.ts'
import { moveRedeliveries, type Redeliveries, redeliveriesKey } from './bullmq/redeliveries.ts'
import { createRescue, type Rescued } from './bullmq/rescue.ts'
import { connectRedis, readyWithin } from './connection.ts'
import type { QueueLocation } from './producer.ts'

export type QueueCounts = {
  waiting: number
  active: number
  delayed: number
  failed: number
  completed: number
}

/** A job that BullMQ failed by itself, most often because its worker died with it too often. */
export type FailedJob = {
  readonly jobId: string
  readonly data: string
  readonly reason: string
  readonly attempts: number
}

/** Looks after the queues beside the flow of jobs: counting, sweeping, moving counts. Fails fast. */
export type QueueAdmin = {
  /** Resolves with true once Redis can be asked, with false after `ms`. */
  ready(ms: number): Promise<boolean>
  counts(): Promise<QueueCounts>
  /** Removes completed jobs whose hour is over; finishing does that too, but somebody must when nothing is finished. */
  removeOldJobs(): Promise<void>
  /** Takes the bodies off completed jobs that ended so long ago, ms. */
  stripBodies(olderThanMs?: number): Promise<void>
  /** The jobs that were completed within so many ms. */
  completedSince(ms: number): AsyncGenerator<CompletedJob>
  /** Puts back jobs that are in no list any more; see `createRescue`. */
  rescueLost(): Promise<Rescued>
  /** Hands each job of the failed sets to `take`, and removes it once that has resolved. */
  sweepFailed(take: (job: FailedJob) => Promise<void>): Promise<number>
  /** Hands deliveries that collapsed in the queue to `record`; see `moveRedeliveries`. */
  moveRedeliveries(record: (counts: Redeliveries[]) => Promise<boolean[]>): Promise<number>
} & AsyncDisposable

const SWEEP_PAGE = 100
const REMOVE_PAGE = 1_000

export function createQueueAdmin({ url, prefix, shards }: QueueLocation, log: Log): QueueAdmin {
  const client = connectRedis(url, 'ingest')
  client.on('error', (error) => log.debug({ err: error }, 'Redis connection'))
  const prefixes = Array.from({ length: shards }, (_, shard) => shardPrefix(prefix, shard))
  const queues = prefixes.map((shard) => {
    const queue = new Queue(QUEUE_NAME, {
      connection: client,
      prefix: shard,
      skipWaitingForReady: true,
      skipVersionCheck: true,
      streams: { events: { maxLen: EVENT_STREAM_LENGTH } },
    })
    queue.on('error', () => {})
    return queue
  })
  const bodies = prefixes.map((shard) => createBodies(client, shard))
  const rescues = prefixes.map((shard) => createRescue(client, shard))
  return {
    ready: (ms) => readyWithin(client, ms),
    async counts() {
      const all = await Promise.all(
        queues.map((queue) => queue.getJobCounts('waiting', 'active', 'delayed', 'failed', 'completed')),
      )
      const sum = (name: keyof QueueCounts) => all.reduce((total, counts) => total + (counts[name] ?? 0), 0)
      return {
        waiting: sum('waiting'),
        active: sum('active'),
        delayed: sum('delayed'),
        failed: sum('failed'),
        completed: sum('completed'),
      }
    },
    async removeOldJobs() {
      const { age } = JOB_OPTIONS.removeOnComplete
      for (const queue of queues) {
        for (;;) {
          const removed = await queue.clean(age * 1_000, REMOVE_PAGE, 'completed')
          if (removed.length < REMOVE_PAGE) break
        }
      }
    },
    async stripBodies(olderThanMs = BODIES_STAY_MS) {
      for (const each of bodies) await each.strip(olderThanMs)
    },
    async *completedSince(ms) {
      for (const each of bodies) yield* each.since(ms)
    },
    async rescueLost() {
      const rescued = { back: 0, forgotten: 0 }
      for (const rescue of rescues) {
        const { back, forgotten } = await rescue().catch((error) => {
          log.debug({ err: error }, 'a shard cannot be searched for lost jobs; others are')
          return { back: 0, forgotten: 0 }
        })
        rescued.back += back
        rescued.forgotten += forgotten
      }
      return rescued
    },
    async sweepFailed(take) {
      let swept = 0
      for (const queue of queues) {
        // Read as raw hashes: BullMQ cannot read a job whose data somebody else has written.
        const jobIds = await client.zrange(queue.toKey('failed'), 0, String(SWEEP_PAGE - 1))
        for (const jobId of jobIds) {
          try {
            const job = await client.hgetall(queue.toKey(jobId))
            await take({
              jobId,
              data: job.data ?? '',
              reason: job.failedReason ?? '',
              attempts: Number(job.atm ?? job.attemptsMade ?? 0),
            })
            failpoint('sweeper-after-insert')
            await queue.remove(jobId)
            await client.zrem(queue.toKey('failed'), jobId)
            swept++
          } catch (error) {
            log.warn({ err: error }, 'a failed job was not swept; the others are')
          }
        }
      }
      return swept
    },
    async moveRedeliveries(record) {
      let moved = 0
      for (const [index, shard] of prefixes.entries()) {
        const jobPrefix = queues[index]?.toKey('') ?? ''
        moved += await moveRedeliveries(client, { key: redeliveriesKey(shard), jobPrefix }, record)
      }
      return moved
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(queues.map((queue) => withDeadline(queue.close(), 1_000, 'closing').catch(() => {})))
      client.disconnect()
    },
  }
}
