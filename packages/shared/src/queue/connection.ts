import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { withDeadline } from '../runtime/backoff.ts'

export type RedisClient = Redis | Cluster
type Options = Omit<RedisOptions, 'replyMapping'>

/**
 * The two ways of speaking to Redis; a connection of one kind must never serve the other.
 *
 * `ingest` fails fast: a command without a ready connection is rejected at once, one without an answer after 500 ms.
 * With any other combination an `add` hangs while Redis is away and runs later, behind the sender's back.
 *
 * `worker` waits for ever: a command timeout would cut its blocking read again and again.
 */
export type ConnectionKind = 'ingest' | 'worker'

const RECONNECT_ON = /^(READONLY|LOADING|UNBLOCKED|MASTERDOWN)/

/**
 * Connects to `redis://`, `rediss://`, `redis+sentinel://[user:password@]host:port,…/master[/db]` or
 * `redis+cluster://[user:password@]host:port,…`. The client reconnects for ever.
 */
export function connectRedis(url: string, kind: ConnectionKind): RedisClient {
  const options = { ...COMMON, ...(kind === 'ingest' ? INGEST : WORKER) }
  if (url.startsWith('redis+sentinel://')) return sentinel(url, options)
  if (url.startsWith('redis+cluster://')) return cluster(url, options)
  return new Redis(url, options)
}

const COMMON: Options = {
  connectTimeout: 1_000,
  keepAlive: 10_000,
  retryStrategy: (times) => Math.min(1_000, 50 * times) * (0.75 + Math.random() / 2),
  // After a failover ioredis stays on the demoted node unless told to reconnect. 1: reconnect, and fail the command.
  reconnectOnError: (error) => (RECONNECT_ON.test(error.message) ? 1 : false),
}

const INGEST: Options = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  commandTimeout: 500,
  // What had no answer when the connection broke fails at once, and is not sent twice.
  autoResendUnfulfilledCommands: false,
}
const WORKER: Options = { maxRetriesPerRequest: null }

function sentinel(url: string, options: Options): Redis {
  const { nodes, username, password, path } = parts(url)
  const [name = 'mymaster', db = '0'] = path.split('/')
  return new Redis({ ...options, sentinels: nodes, name, db: Number(db), ...credentials(username, password) })
}

function cluster(url: string, options: Options): Cluster {
  const { nodes, username, password } = parts(url)
  return new Cluster(nodes, {
    enableOfflineQueue: options.enableOfflineQueue ?? true,
    clusterRetryStrategy: (times) => Math.min(1_000, 100 * times),
    redisOptions: { ...options, ...credentials(username, password) },
  })
}

const credentials = (username: string, password: string) => ({
  ...(username && { username }),
  ...(password && { password }),
})

/** Takes a URL with several hosts apart, which no URL parser does. */
function parts(url: string): {
  nodes: { host: string; port: number }[]
  username: string
  password: string
  path: string
} {
  const [authority = '', ...path] = url.replace(/^[^:]+:\/\//, '').split('/')
  const at = authority.lastIndexOf('@')
  const [username = '', password = ''] =
    at < 0 ? [] : authority.slice(0, at).split(':').map(decodeURIComponent)
  const nodes = authority
    .slice(at + 1)
    .split(',')
    .map((node) => {
      const [, host = '', port] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(node) ?? []
      return { host, port: Number(port ?? (url.startsWith('redis+sentinel') ? 26379 : 6379)) }
    })
  return { nodes, username, password, path: path.join('/') }
}

/** Resolves with whether commands can be sent, as soon as they can or after `ms`. */
export async function readyWithin(client: RedisClient, ms: number): Promise<boolean> {
  if (client.status !== 'ready') {
    const { promise, resolve } = Promise.withResolvers<void>()
    client.once('ready', resolve)
    await withDeadline(promise, ms, 'connecting to Redis').catch(() => client.off('ready', resolve))
  }
  return client.status === 'ready'
}
