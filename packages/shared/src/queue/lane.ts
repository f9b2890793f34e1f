import { DeadlineError } from '../runtime/backoff.ts'
import { type Batcher, createBatcher } from '../runtime/batch.ts'
import type { Log } from '../runtime/log.ts'
import { createAdd, MAX_JOBS_PER_ADD, type NewJob } from './add.ts'
import { createBreaker } from './breaker.ts'
import { countCollapsed } from './collapsed.ts'
import type { RedisClient } from './connection.ts'
import { createLaneConnection } from './lane-connection.ts'
import type { ReplicaWatch } from './replicas.ts'
import type { Outgoing } from './sender.ts'

/** The way of one shard's events into the queue. */
export type Lane = {
  /** Rejects at once while too many have failed lately. */
  add(job: OutgoingJob): Promise<void>
  /** Whether events are tried. */
  readonly isOpen: boolean
  /** Whether there is a connection for them. */
  readonly isConnected: boolean
  close(): Promise<void>
}
export type OutgoingJob = NewJob & { readonly event: Outgoing }

export const ADD_DEADLINE_MS = 700
/** Less than the deadline, so that a replica that is away is known for the reason. */
const WAIT_MS = 400
const MAX_BATCH_BYTES = 1_000_000
/** How far apart batches begin, at least: at 2,000 events a second each ms less costs a tenth more CPU, each more hardly less. */
const SPACING_MS = 3

/**
 * Adds concurrent events in one command. Where replicas are waited for, WAIT follows it on a connection of the lane's own,
 * and fewer replicas than asked for count as a failure: the events are in Redis, and would be lost with it.
 *
 * @param name of the shard, for the log; empty where there is one alone
 */
export function createLane(
  client: RedisClient,
  prefix: string,
  { name, replicas, log }: { name: string; replicas: ReplicaWatch; log: Log },
): Lane {
  const own = createLaneConnection(client, prefix)
  const counting = new Set<Promise<void>>()
  const about = name ? { shard: name } : {}
  const breaker = createBreaker((isOpen) => {
    if (isOpen) log.warn(about, 'Redis fails; events go to the inbox in Postgres')
    else log.info(about, 'Redis works again')
  })

  /** No part of the promise: the events are stored, so neither a failure nor a delay here may hold up their answers. */
  function count(jobs: readonly OutgoingJob[], collapsed: readonly number[]): void {
    if (collapsed.length === 0) return
    const events = collapsed.map((index) => (jobs[index] as OutgoingJob).event)
    const work = countCollapsed(client, prefix, events)
      .catch((error) => log.warn({ err: error, events: events.length }, 'redeliveries were not counted'))
      .finally(() => counting.delete(work))
    counting.add(work)
  }

  const options = {
    maxItems: MAX_JOBS_PER_ADD,
    maxWeight: MAX_BATCH_BYTES,
    weigh: ({ data }: OutgoingJob) => data.length,
    spacingMs: SPACING_MS,
    deadlineMs: ADD_DEADLINE_MS,
    late: () => new DeadlineError(`adding to the queue took longer than ${ADD_DEADLINE_MS} ms`),
  }
  const addAlone = createAdd(client, prefix)
  const alone: Batcher<OutgoingJob, void> = createBatcher({
    ...options,
    concurrency: 4,
    run: (jobs) => attempt(jobs, () => addAlone(jobs)),
  })
  const acknowledged: Batcher<OutgoingJob, void> = createBatcher({
    ...options,
    // The next one would wait for the connection, and takes more along when it does not.
    concurrency: 1,
    run: (jobs) => attempt(jobs, () => addAcknowledged(jobs)),
  })

  async function addAcknowledged(jobs: readonly OutgoingJob[]): Promise<number[]> {
    const connection = own.get()
    if (!connection) throw new Error('no connection to the master of this shard')
    try {
      const collapsed = await createAdd(connection, prefix)(jobs)
      const wanted = replicas.acks ?? 1
      const reached = await connection.wait(wanted, WAIT_MS)
      if (reached < wanted) throw new Error(`${reached} of ${wanted} replicas have the events`)
      return collapsed
    } catch (error) {
      own.failed(error)
      throw error
    }
  }

  /** Where it rejects, all of them or none may be stored. */
  async function attempt(
    jobs: readonly OutgoingJob[],
    add: () => Promise<number[]>,
  ): Promise<PromiseFulfilledResult<void>[]> {
    try {
      count(jobs, await add())
    } catch (error) {
      for (const _ of jobs) breaker.failed()
      throw error
    }
    breaker.succeeded()
    return jobs.map(() => ({ status: 'fulfilled', value: undefined }))
  }

  return {
    add(job) {
      if (!breaker.allows()) return Promise.reject(new Error('Redis has failed lately'))
      const { acks } = replicas
      if (acks === undefined) {
        breaker.failed()
        return Promise.reject(new Error('not known yet whether Redis has replicas'))
      }
      return (acks === 0 ? alone : acknowledged).add(job)
    },
    get isOpen() {
      return !breaker.isOpen
    },
    get isConnected() {
      if (client.status !== 'ready' || replicas.acks === undefined) return false
      return replicas.acks === 0 || own.get() !== undefined
    },
    async close() {
      await Promise.all(counting)
      own[Symbol.dispose]()
    },
  }
}
