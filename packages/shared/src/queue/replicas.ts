import type { Redis } from 'ioredis'
import { every } from '../runtime/every.ts'

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

/** @returns false as well if neither ROLE nor INFO is allowed; the checks report that */
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
    return false
  }
}

const isRefusal = (error: unknown) => /^(NOPERM|ERR unknown command)/i.test((error as Error).message)
