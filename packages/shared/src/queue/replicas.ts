import type { Log } from '../runtime/log.ts'
import type { RedisClient } from './connection.ts'

/** How many replicas must have an event before it is answered; `auto`: one, wherever there are any. */
export type Acks = 'auto' | number

/** Knows how many replicas a batch must reach. */
export type ReplicaWatch = Disposable & {
  /** Undefined while that is not known: from each new connection on until its server has been asked. */
  readonly acks: number | undefined
}

const LOOK_EVERY_MS = 3_000

/**
 * With `auto` the server is asked on each new connection, before it is used, and every few seconds. Once a replica has
 * been seen it is waited for as long as this process lives: after a failover the new master may have none yet.
 *
 * @param hasReplicas true where the URL says so: Sentinels and clusters
 */
export function watchReplicas(
  client: RedisClient,
  { acks, hasReplicas, log }: { acks: Acks; hasReplicas: boolean; log: Log },
): ReplicaWatch {
  if (acks !== 'auto' || hasReplicas) {
    const fixed = acks === 'auto' ? 1 : acks
    return { acks: fixed, [Symbol.dispose]() {} }
  }
  let seen = false
  let isKnown = false
  async function look(): Promise<void> {
    const count = await countReplicas(client)
    if (count > 0 && !seen) log.info({ replicas: count }, 'Redis has a replica: answers wait for it')
    seen ||= count > 0
    isKnown = true
  }
  // A look that fails leaves the events to the inbox until the next one.
  const lookQuietly = () => void look().catch(() => {})
  client.on('ready', lookQuietly)
  client.on('close', () => {
    isKnown = false
  })
  if (client.status === 'ready') lookQuietly()
  const timer = setInterval(() => client.status === 'ready' && lookQuietly(), LOOK_EVERY_MS).unref()
  return {
    get acks() {
      if (seen) return 1
      return isKnown ? 0 : undefined
    },
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

/** 0 as well where the rights of the user do not let it see them; the checks tell. */
async function countReplicas(client: RedisClient): Promise<number> {
  try {
    const [, , replicas] = (await client.call('ROLE')) as [string, unknown, unknown[]]
    return Array.isArray(replicas) ? replicas.length : 0
  } catch (error) {
    if (!isForbidden(error)) throw error
  }
  try {
    return Number(/connected_slaves:(\d+)/.exec(String(await client.call('INFO', 'replication')))?.[1] ?? 0)
  } catch (error) {
    if (isForbidden(error)) return 0
    throw error
  }
}

const isForbidden = (error: unknown) => /^NOPERM|unknown command/i.test((error as Error).message)
