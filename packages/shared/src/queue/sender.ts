import { hash } from 'node:crypto'
import type { Envelope } from '../idwise/envelope.ts'
import { pause, withDeadline } from '../runtime/backoff.ts'
import type { Log } from '../runtime/log.ts'
import { parseRedisUrl } from '../runtime/redis-url.ts'
import { connectRedis, readyWithin } from './connection.ts'
import { createLane, type Lane } from './lane.ts'
import { shardPrefix } from './options.ts'
import { type Acks, watchReplicas } from './replicas.ts'

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
   * Resolves once Redis, and as many of its replicas as are waited for, have acknowledged the job. Rejects at once where
   * Redis is not reachable or has failed lately, and after 700 ms where it does not answer; the job may then exist all
   * the same.
   */
  add(event: Outgoing): Promise<void>
  /** Resolves when every shard can be used, or after `ms`, whichever comes first. */
  ready(ms: number): Promise<boolean>
  /** Whether some shard can be used. */
  readonly isReady: boolean
  /** `up`, `down`, or how many of the shards are down. */
  readonly state: string
} & AsyncDisposable

export type QueueLocation = { url: string; prefix: string; shards: number; acks?: Acks }

const LOOK_EVERY_MS = 10

/** The ingest's side of the queue: fails fast, and adds concurrent events in one round trip. */
export function createQueueSender(
  { url, prefix, shards, acks = 'auto' }: QueueLocation,
  log: Log,
): QueueSender {
  const client = connectRedis(url, 'ingest')
  client.on('error', (error) => log.debug({ err: error }, 'Redis connection'))
  const hasReplicas = parseRedisUrl(url).kind !== 'single'
  const replicas = watchReplicas(client, { acks, hasReplicas, log })
  const lanes = Array.from({ length: shards }, (_, shard) => {
    const name = shards > 1 ? String(shard) : ''
    return createLane(client, shardPrefix(prefix, shard), { name, replicas, log })
  })
  const usable = () => lanes.filter(({ isOpen, isConnected }) => isOpen && isConnected).length
  return {
    add(event) {
      const lane = lanes[shardOf(event, shards)] as Lane
      const { jobId, envelope } = event
      return lane.add({ jobId, name: envelope.arrival, data: JSON.stringify(envelope), event })
    },
    async ready(ms) {
      const limit = performance.now() + ms
      if (!(await readyWithin(client, ms))) return false
      while (usable() < shards && performance.now() < limit) await pause(LOOK_EVERY_MS)
      return usable() === shards
    },
    get isReady() {
      return usable() > 0
    },
    get state() {
      const down = shards - usable()
      if (down === 0) return 'up'
      return down === shards ? 'down' : `${down} of ${shards} shards down`
    },
    async [Symbol.asyncDispose]() {
      replicas[Symbol.dispose]()
      await Promise.all(
        lanes.map((lane) => withDeadline(lane.close(), 1_000, 'closing the queue').catch(() => {})),
      )
      client.disconnect()
    },
  }
}

function shardOf({ journeyId, jobId }: Outgoing, shards: number): number {
  return shards === 1 ? 0 : hash('sha256', journeyId ?? jobId, 'buffer').readUInt32BE() % shards
}
