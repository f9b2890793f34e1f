import type { Redis } from 'ioredis'
import { every } from '../runtime/every.ts'
import { connected } from './nodes.ts'

/** How many replicas must confirm an event before it counts as stored. `auto`: one, if there may be a replica. */
export type Acks = number | 'auto'

export type AcksNeeded = {
  /** The number for this connection. Undefined until Redis has answered on it. */
  of(client: Redis): number | undefined
  /** Asks Redis as soon as the connection is ready and every few seconds; calls `whenKnown` after each answer. */
  watch(client: Redis, whenKnown: () => void): void
}

const ASK_EVERY_MS = 4_000

/**
 * Once a replica was seen, one must confirm each event from then on. After a failover events must be as safe as before,
 * even while the new master has no replica.
 */
export function createAcksNeeded(acks: Acks, mayFailOver: boolean): AcksNeeded {
  let known = acks === 'auto' ? (mayFailOver ? 1 : 0) : acks
  if (acks !== 'auto' || mayFailOver) {
    return { of: () => known, watch: (client, whenKnown) => void client.on('ready', whenKnown) }
  }
  const asked = new WeakSet<Redis>()
  return {
    of: (client) => (asked.has(client) ? known : undefined),
    watch(client, whenKnown) {
      async function ask(): Promise<void> {
        if (known > 0 || (await hasReplicas(client))) known = 1
        asked.add(client)
        whenKnown()
      }
      let closed = new AbortController()
      client.on('ready', () => {
        closed = new AbortController()
        every(ASK_EVERY_MS, ask, {
          signal: closed.signal,
          onError() {
            // A connection without a first answer is not used: it may lead to a replica now.
            if (!asked.has(client)) client.disconnect(true)
          },
        })
      })
      client.on('close', () => {
        closed.abort()
        asked.delete(client)
      })
    },
  }
}

async function hasReplicas(client: Redis): Promise<boolean> {
  try {
    const [role, , replicas] = (await client.role()) as [string, unknown, unknown]
    return role !== 'master' || (Array.isArray(replicas) && replicas.length > 0)
  } catch (error) {
    if (!isRefusal(error)) throw error
  }
  try {
    const info = await client.info('replication')
    return /role:slave|connected_slaves:[1-9]/.test(info)
  } catch (error) {
    if (!isRefusal(error)) throw error
  }
  return (await countReplicas(client)) > 0
}

/** More replicas than any Redis has, so that all of them are counted. */
const ALL = 99
const COUNT_MS = 200

/**
 * The number of replicas that keep up, also for a user who may run neither ROLE nor INFO: those that confirm within
 * 200 ms all that was written. It asks on a copy, since WAIT blocks its connection. 0 as well if this user may not run
 * WAIT.
 */
export async function countReplicas(client: Redis): Promise<number> {
  const copy = client.duplicate({ enableReadyCheck: false })
  copy.on('error', () => {})
  try {
    await connected(copy)
    return await copy.wait(ALL, COUNT_MS)
  } catch (error) {
    if (isRefusal(error)) return 0
    throw error
  } finally {
    copy.disconnect()
  }
}

const isRefusal = (error: unknown) => /^(NOPERM|ERR unknown command)/i.test((error as Error).message)
