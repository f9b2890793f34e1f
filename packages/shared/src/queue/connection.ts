import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { withDeadline } from '../runtime/backoff.ts'
import { type RedisAddress, redisAddress } from '../runtime/redis-url.ts'

export type RedisClient = Redis | Cluster
type Options = Omit<RedisOptions, 'replyMapping'>

/**
 * The two kinds of connections to Redis. A connection of one kind must not be used for the other.
 *
 * `ingest` fails fast: a command is rejected at once if the connection is not ready, and after 500 ms without an
 * answer. With other options an `add` would hang while Redis is away, and run later, after its event was answered.
 *
 * `worker` waits for ever: a limit for commands would end its blocking read again and again.
 */
export type ConnectionKind = 'ingest' | 'worker'

const RECONNECT_ON = /^(READONLY|LOADING|UNBLOCKED|MASTERDOWN)/

/**
 * Connects to the Redis, the Sentinels or the cluster at the URL. The client reconnects for ever. It is not used if
 * Redis refuses the number of the database. Its last error is kept for `lastErrorOf`.
 *
 * @throws UserError if the URL is wrong
 */
export function connectRedis(url: string, kind: ConnectionKind): RedisClient {
  const address = redisAddress(url)
  const options = { ...(kind === 'ingest' ? INGEST : WORKER), ...optionsFor(address) }
  const client = address.kind === 'cluster' ? cluster(address, options) : single(address, options)
  return keepErrors(client)
}

/** A connection of the kind `ingest` to one node of the cluster at the URL. */
export function connectNode(url: string, node: { host: string; port: number }): Redis {
  return keepErrors(new Redis({ ...INGEST, ...optionsFor(redisAddress(url)), ...node }))
}

/** The last error of a client since it was ready. Undefined for a client that is ready. */
export function lastErrorOf(client: RedisClient): Error | undefined {
  return client.status === 'ready' ? undefined : lastErrors.get(client)
}

const lastErrors = new WeakMap<RedisClient, Error>()

const retry = (times: number) => Math.min(1_000, 50 * times) * (0.75 + Math.random() / 2)

const COMMON: Options = {
  connectTimeout: 1_000,
  keepAlive: 10_000,
  retryStrategy: retry,
  // After a failover ioredis would stay on the demoted node. 1: reconnect, and fail the command.
  reconnectOnError: (error) => (RECONNECT_ON.test(error.message) ? 1 : false),
}

const INGEST: Options = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  commandTimeout: 500,
  // A command without an answer fails when its connection breaks, and is not sent again.
  autoResendUnfulfilledCommands: false,
}
const WORKER: Options = { maxRetriesPerRequest: null }

function optionsFor({ username, password, tls, family }: RedisAddress): Options {
  return {
    ...COMMON,
    ...(username && { username }),
    ...(password && { password }),
    ...(tls && { tls }),
    ...(family && { family }),
  }
}

function single({ hosts, database: db, sentinel, tls }: RedisAddress, options: Options): Redis {
  if (!sentinel) return new Redis({ ...options, ...hosts[0], db })
  const { name, username, password } = sentinel
  return new Redis({
    ...options,
    sentinels: [...hosts],
    name,
    db,
    ...(username && { sentinelUsername: username }),
    ...(password && { sentinelPassword: password }),
    ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    sentinelCommandTimeout: 1_000,
    sentinelRetryStrategy: retry,
  })
}

function cluster({ hosts, tls }: RedisAddress, options: Options): Cluster {
  const client: Cluster = new Cluster([...hosts], {
    enableOfflineQueue: options.enableOfflineQueue ?? true,
    clusterRetryStrategy(times, reason) {
      if (reason) lastErrors.set(client, reason)
      return Math.min(1_000, 100 * times)
    },
    // The certificates contain names, not addresses.
    ...(tls && { dnsLookup: (host, done) => done(null, host) }),
    redisOptions: options,
  })
  return client
}

/** ioredis hides causes: it emits those of the nodes of a cluster and of Sentinels as other events. */
function keepErrors<Client extends RedisClient>(client: Client): Client {
  let cause: Error | undefined
  const keep = (error: Error) => void lastErrors.set(client, error)
  const keepCause = (error: Error) => {
    if (error.message === 'Connection is closed.') return
    cause = error
    keep(error)
  }
  client.on('sentinelError', keepCause)
  client.on('node error', keepCause)
  client.on('error', (error: Error & { command?: { name: string } }) => {
    const isVague =
      error.message === 'Failed to refresh slots cache.' || error.message.startsWith('All sentinels')
    keep(isVague && cause ? cause : error)
    // Otherwise ioredis would use database 0.
    if (error.command?.name === 'select') client.disconnect(true)
  })
  client.on('ready', () => lastErrors.delete(client))
  client.on('+node', (node: Redis) => {
    // ioredis asks the nodes of a cluster on copies of their connections.
    eachCopy(node, (copy) => copy.on('error', keepCause))
    // While a slot moves, ioredis sends ASKING before a command and does not look at the answer: an error would end
    // the process. The command itself fails as well.
    const asking = node.asking.bind(node) as () => Promise<unknown>
    Object.assign(node, { asking: () => asking().catch(() => {}) })
  })
  if (client instanceof Redis) eachCopy(client, keepErrors)
  return client
}

function eachCopy(client: Redis, use: (copy: Redis) => unknown): void {
  const duplicate = client.duplicate.bind(client)
  client.duplicate = (override) => {
    const copy = duplicate(override)
    use(copy)
    return copy
  }
}

/** Resolves with true as soon as commands can be sent, with false after `ms`. */
export async function readyWithin(client: RedisClient, ms: number): Promise<boolean> {
  if (client.status !== 'ready') {
    const { promise, resolve } = Promise.withResolvers<void>()
    client.once('ready', resolve)
    await withDeadline(promise, ms, 'connecting to Redis').catch(() => client.off('ready', resolve))
  }
  return client.status === 'ready'
}
