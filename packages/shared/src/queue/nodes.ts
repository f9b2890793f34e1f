import { Redis } from 'ioredis'
import { DeadlineError } from '../runtime/backoff.ts'
import { redisAddress } from '../runtime/redis-url.ts'
import { connectNode, connectRedis, lastErrorOf, type RedisClient } from './connection.ts'

/** A server that events are written to: the only one, the master that the Sentinels name, or one of a cluster. */
export type Master = {
  /** HOST:PORT where there are several. */
  readonly name: string | undefined
  /** The replicas that its cluster knows of; undefined outside of one. */
  readonly replicas: number | undefined
  /** Runs `work` on a connection to it; rejects with what keeps it from connecting, or after the limit. */
  use<T>(work: (client: Redis) => Promise<T>): Promise<T>
}

const LIMIT_MS = 3_000
const UNASKED = { enableReadyCheck: false }

/** Hands a new connection to `work`, since old ones keep rights and passwords that new ones do not get any more. */
export async function withRedis<T>(url: string, work: (client: RedisClient) => Promise<T>): Promise<T> {
  const client = connectRedis(url, 'ingest')
  // The client would print a line at each look where its user may not run INFO, which the checks ask for themselves.
  Object.assign((client instanceof Redis ? client.options : client.options.redisOptions) ?? {}, UNASKED)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

/** Resolves once commands can be sent; rejects with the first error, or undefined where the connection is just closed. */
export async function connected(client: RedisClient): Promise<void> {
  if (client.status === 'ready') return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (error?: Error) => reject(lastErrorOf(client) ?? error)
  client.once('ready', resolve).once('error', failed)
  // Clients of clusters and Sentinels close as often as they have to begin with another node.
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
 * Every master behind the URL, those that do not answer included.
 *
 * @param client is connected to it
 * @throws what keeps each node of a cluster from telling
 */
export async function findMasters(url: string, client: RedisClient): Promise<Master[]> {
  if (client instanceof Redis) {
    const use: Master['use'] = (work) => connected(client).then(() => work(client))
    return [{ name: undefined, replicas: undefined, use }]
  }
  // The client forgets nodes that it cannot reach.
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
/** From slot, to slot, then its master and its replicas: host, port, id. */
type Slots = [number, number, ...[string, number, ...unknown[]][]][]

function ownersOf(slots: Slots, askedHost: string): Map<string, Address & { replicas: number }> {
  const owners = new Map<string, Address & { replicas: number }>()
  for (const [, , master, ...replicas] of slots) {
    if (!master) continue
    // A node that does not know its own address gives none.
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
