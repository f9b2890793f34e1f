import type { Redis } from 'ioredis'
import { every } from '../runtime/every.ts'

/** How many replicas must have an event before it counts as stored; `auto`: one wherever there may be any. */
export type Acks = number | 'auto'

export type AcksNeeded = {
  /** Undefined as long as this connection has not been asked. */
  of(client: Redis): number | undefined
  /** Asks whenever the connection becomes ready and every few seconds from then on; tells `whenKnown` each time. */
  watch(client: Redis, whenKnown: () => void): void
}

const LOOK_EVERY_MS = 4_000

/**
 * A replica that has been seen stays: what comes after a failover has to be as safe as before, also as long as the new
 * master has no replica.
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
      async function look(): Promise<void> {
        if (known > 0 || (await hasReplicas(client))) known = 1
        asked.add(client)
        whenKnown()
      }
      let closed = new AbortController()
      client.on('ready', () => {
        closed = new AbortController()
        every(LOOK_EVERY_MS, look, {
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

/** @returns false as well where neither ROLE nor INFO is allowed, which the checks report */
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
