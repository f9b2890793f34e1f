import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RedisClient } from './connection.ts'

/**
 * A connection that one lane has to itself, to the server that has its keys: WAIT speaks of what was written on its own
 * connection, and blocks it.
 */
export type LaneConnection = Disposable & {
  /** Undefined until there is a connection that can be used; asking for it makes one. */
  get(): Redis | undefined
  /** Its server did not take something: somebody else may have the keys by now. */
  failed(error: unknown): void
}

/** @param key any key of the lane */
export function createLaneConnection(client: RedisClient, key: string): LaneConnection {
  return client instanceof Cluster ? ofCluster(client, key) : ofServer(client)
}

function ofServer(client: Redis): LaneConnection {
  let own: Redis | undefined
  return {
    get() {
      own ??= quiet(client.duplicate())
      return own.status === 'ready' ? own : undefined
    },
    failed() {},
    [Symbol.dispose]: () => own?.disconnect(),
  }
}

function ofCluster(cluster: Cluster, key: string): LaneConnection {
  let slot: number | undefined
  let own: Redis | undefined
  let address: string | undefined
  let isAsking = false

  function once(ask: () => Promise<unknown>): void {
    if (isAsking) return
    isAsking = true
    void ask()
      .catch(() => {})
      .finally(() => {
        isAsking = false
      })
  }
  const askForSlot = () =>
    once(async () => {
      slot = Number(await cluster.cluster('KEYSLOT', key))
    })
  const refresh = () => new Promise<void>((resolve) => cluster.refreshSlotsCache(() => resolve()))

  return {
    get() {
      if (slot === undefined) {
        askForSlot()
        return undefined
      }
      const master = cluster.slots[slot]?.[0]
      if (master !== undefined && master !== address) {
        own?.disconnect()
        own = quiet(connectTo(cluster, master))
        address = master
      }
      return own?.status === 'ready' ? own : undefined
    },
    failed() {
      // Whatever the reason: the table of slots is cheap to ask for, and a wrong one costs every event.
      once(refresh)
    },
    [Symbol.dispose]: () => own?.disconnect(),
  }
}

/** @param address `host:port`, as the nodes tell it */
function connectTo(cluster: Cluster, address: string): Redis {
  const at = address.lastIndexOf(':')
  const options = {
    ...cluster.options.redisOptions,
    host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'),
    port: Number(address.slice(at + 1)),
  }
  return new Redis(options as Omit<RedisOptions, 'replyMapping'>)
}

function quiet(client: Redis): Redis {
  // What a broken connection means shows in the adds.
  client.on('error', () => {})
  return client
}
