import { Redis } from 'ioredis'
import { DeadlineError } from '../runtime/backoff.ts'
import { redisAddress } from '../runtime/redis-url.ts'
import { connectNode, connectRedis, lastErrorOf, type RedisClient } from './connection.ts'

/** A server that takes writes: the only one, the master that the Sentinels name, or one of a cluster's masters. */
export type Master = {
  /** `host:port` if there are several. */
  readonly name: string | undefined
  /** How many replicas its cluster knows; undefined if it is no cluster. */
  readonly replicas: number | undefined
  /** Runs `work` on a connection to it; rejects with the reason if it cannot connect within the limit. */
  use<T>(work: (client: Redis) => Promise<T>): Promise<T>
}

const LIMIT_MS = 3_000
const UNASKED = { enableReadyCheck: false }

/** Calls `work` with a new connection: an old one keeps rights and passwords that are no longer valid. */
export async function withRedis<T>(url: string, work: (client: RedisClient) => Promise<T>): Promise<T> {
  const client = connectRedis(url, 'ingest')
  // Otherwise ioredis prints a line at each check if its user may not run INFO. The checks report that themselves.
  Object.assign((client instanceof Redis ? client.options : client.options.redisOptions) ?? {}, UNASKED)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

/**
 * Resolves once commands can be sent; rejects with the first error, or with undefined if the connection was closed
 * without one.
 */
export async function connected(client: RedisClient): Promise<void> {
  if (client.status === 'ready') return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (error?: Error) => reject(lastErrorOf(client) ?? error)
  client.once('ready', resolve).once('error', failed)
  // The clients of clusters and Sentinels close each time that they go on to another node.
  if (client instanceof Redis && !client.options.sentinels) client.once('close', failed)
  const late = new DeadlineError('connecting timed out: it hangs, or is no whole cluster')
  const limit = setTimeout(() => failed(late), LIMIT_MS)
  try {
    await promise
  } finally {
    clearTimeout(limit)
    client.off('ready', resolve).off('error', failed).off('close', failed)
  }
}

/**
 * Every master behind the URL, including those that do not answer.
 *
 * @param client is connected to it
 * @throws the error of the first node if no node of a cluster answers
 */
export async function findMasters(url: string, client: RedisClient): Promise<Master[]> {
  if (client instanceof Redis) {
    const use: Master['use'] = (work) => connected(client).then(() => work(client))
    return [{ name: undefined, replicas: undefined, use }]
  }
  // A node of the cluster is asked, since the client forgets nodes that it cannot reach.
  const owners = await askFirst(redisAddress(url).hosts, (seed) =>
    onNode(url, seed, async (node) => ownersOf(await node.cluster('SLOTS'), seed.host)),
  )
  return [...owners].map(([name, { host, port, replicas }]) => ({
    name: owners.size > 1 ? name : undefined,
    replicas,
    use: (work) => onNode(url, { host, port }, work),
  }))
}

type Address = { readonly host: string; readonly port: number }
/** First slot, last slot, then the master and the replicas: host, port, id. */
type Slots = [number, number, ...[string, number, ...unknown[]][]][]

function ownersOf(slots: Slots, askedHost: string): Map<string, Address & { replicas: number }> {
  const owners = new Map<string, Address & { replicas: number }>()
  for (const [, , master, ...replicas] of slots) {
    if (!master) continue
    // A node that does not know its own address returns none.
    const host = master[0] && master[0] !== '?' ? master[0] : askedHost
    owners.set(`${host}:${master[1]}`, { host, port: Number(master[1]), replicas: replicas.length })
  }
  return owners
}

async function askFirst<T>(seeds: readonly Address[], ask: (seed: Address) => Promise<T>): Promise<T> {
  try {
    return await Promise.any(seeds.map(ask))
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error
  }
}

async function onNode<T>(url: string, address: Address, work: (node: Redis) => Promise<T>): Promise<T> {
  const node = connectNode(url, address)
  Object.assign(node.options, UNASKED)
  try {
    await connected(node)
    return await work(node)
  } finally {
    node.disconnect()
  }
}
