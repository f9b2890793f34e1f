import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { withDeadline } from '../runtime/backoff.ts'
import { parseRedisUrl, type RedisUrl } from '../runtime/redis-url.ts'

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

/** Connects to what REDIS_URL names (`parseRedisUrl`). The client reconnects for ever. */
export function connectRedis(url: string, kind: ConnectionKind): RedisClient {
  const options = { ...COMMON, ...(kind === 'ingest' ? INGEST : WORKER) }
  const parsed = parseRedisUrl(url)
  const client = open(url, parsed, options)
  rememberErrors(client)
  return client
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

function open(url: string, parsed: RedisUrl, options: Options): RedisClient {
  const { kind, hosts, tls, username, password, database } = parsed
  const secure = tls && { tls: {} }
  const credentials = { ...(username && { username }), ...(password && { password }) }
  switch (kind) {
    case 'single':
      // The driver reads further options in it, such as `?family=6`.
      return new Redis(url, options)
    case 'sentinel':
      return new Redis({
        ...options,
        ...credentials,
        ...secure,
        sentinels: [...hosts],
        name: parsed.master,
        db: database,
        ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
        ...(parsed.sentinelUsername && { sentinelUsername: parsed.sentinelUsername }),
        ...(parsed.sentinelPassword && { sentinelPassword: parsed.sentinelPassword }),
      })
    case 'cluster':
      return new Cluster([...hosts], {
        enableOfflineQueue: options.enableOfflineQueue ?? true,
        clusterRetryStrategy: (times) => Math.min(1_000, 100 * times),
        // Names are not resolved by us where a certificate is to fit them.
        ...(tls && { dnsLookup: (address, callback) => callback(null, address) }),
        redisOptions: { ...options, ...credentials, ...secure },
      })
    default:
      return kind satisfies never
  }
}

const lastErrors = new WeakMap<RedisClient, Error>()

/** Why this client has no connection, as far as it has been told: since it was last ready. */
export function lastErrorOf(client: RedisClient): Error | undefined {
  return lastErrors.get(client)
}

function rememberErrors(client: RedisClient): void {
  const remember = (error: Error) => void lastErrors.set(client, error)
  client.on('error', remember)
  // What happens to a cluster's nodes is told by another event.
  client.on('node error', remember)
  client.on('ready', () => lastErrors.delete(client))
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
