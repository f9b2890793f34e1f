import { type Cluster, Command, type Redis } from 'ioredis'
import type { Log } from '../runtime/log.ts'
import { mayFailOver, redisAddress } from '../runtime/redis-url.ts'
import { connectNode, connectRedis, lastErrorOf, type RedisClient } from './connection.ts'
import { type Acks, type AcksNeeded, createAcksNeeded } from './replicas.ts'

/** The connection of one shard to its master. Shards share none, because WAIT blocks a connection. */
export type Link = {
  /** Rejects at once if no connection may be used. `acks`: the number of replicas that must confirm the work. */
  use<Result>(work: (client: RedisClient, acks: number) => Promise<Result>): Promise<Result>
  readonly acks: number
  readonly isUsable: boolean
  close(): void
}

/** The links to the shards of one Redis or cluster. */
export type Links = {
  create(prefix: string): Link
  /** Resolves as soon as one of the links can be used. */
  readonly usable: Promise<void>
  close(): void
}

export function createLinks({ url, acks = 'auto' }: { url: string; acks?: Acks }, log: Log): Links {
  const usable = Promise.withResolvers<void>()
  const address = redisAddress(url)
  const needed = createAcksNeeded(acks, mayFailOver(address))
  function watched(client: Redis): Redis {
    client.on('error', (error) => log.debug({ err: error }, 'Redis connection'))
    needed.watch(client, usable.resolve)
    return client
  }
  if (address.kind !== 'cluster') {
    return {
      create: () => createLink(needed, singleTarget(watched(connectRedis(url, 'ingest') as Redis))),
      usable: usable.promise,
      close() {},
    }
  }
  const cluster = connectRedis(url, 'ingest') as Cluster
  cluster.options.slotsRefreshInterval = SLOTS_EVERY_MS
  cluster.on('error', (error) => log.debug({ err: error }, 'Redis Cluster'))
  const connect = (node: { host: string; port: number }) => watched(connectNode(url, node))
  return {
    create: (prefix) => createLink(needed, clusterTarget(cluster, connect, prefix)),
    usable: usable.promise,
    close: () => cluster.disconnect(),
  }
}

const SLOTS_EVERY_MS = 2_000

/** The server that has a shard now. */
type Target = {
  client(): Redis | undefined
  /** Reports a command that has failed: the shard may have moved. */
  failed(): void
  readonly lastError: Error | undefined
  close(): void
}

function createLink(needed: AcksNeeded, target: Target): Link {
  function usable(): { client: Redis; acks: number } | undefined {
    const client = target.client()
    const acks = client?.status === 'ready' ? needed.of(client) : undefined
    return client && acks !== undefined ? { client, acks } : undefined
  }
  return {
    async use(work) {
      const now = usable()
      try {
        if (!now) throw target.lastError ?? new Error('no connection to Redis')
        return await work(now.client, now.acks)
      } catch (error) {
        target.failed()
        throw error
      }
    },
    get acks() {
      return usable()?.acks ?? 0
    },
    get isUsable() {
      return usable() !== undefined
    },
    close: target.close,
  }
}

function singleTarget(client: Redis): Target {
  return {
    client: () => client,
    failed() {},
    get lastError() {
      return lastErrorOf(client)
    },
    close: () => client.disconnect(),
  }
}

/**
 * Follows a slot from master to master. The client of the cluster is used only to find the master: it would send WAIT,
 * which has no key, to any node, and it keeps commands for a dead node in a queue.
 */
function clusterTarget(
  cluster: Cluster,
  connect: (node: { host: string; port: number }) => Redis,
  prefix: string,
): Target {
  const slot = new Command('get', [prefix]).getSlot() as number
  let address: string | undefined
  let client: Redis | undefined
  function current(): Redis | undefined {
    const master = cluster.slots[slot]?.[0]
    if (master !== undefined && master !== address) {
      client?.disconnect()
      const colon = master.lastIndexOf(':')
      address = master
      client = connect({ host: master.slice(0, colon), port: Number(master.slice(colon + 1)) })
      client.on('close', refresh)
    }
    return client
  }
  const refresh = () => void (cluster.status === 'ready' && cluster.refreshSlotsCache())
  cluster.on('refresh', current)
  return {
    client: current,
    failed: refresh,
    get lastError() {
      return (client && lastErrorOf(client)) ?? lastErrorOf(cluster)
    },
    close() {
      cluster.off('refresh', current)
      client?.off('close', refresh)
      client?.disconnect()
    },
  }
}
