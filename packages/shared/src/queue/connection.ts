import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { withDeadline } from '../runtime/backoff.ts'
import { type RedisAddress, redisAddress } from '../runtime/redis-url.ts'

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
 * Connects to what `parseRedisUrl` reads. The client reconnects for ever; it is not used where Redis refuses the database
 * that the URL names. What fails is kept for `lastErrorOf`.
 *
 * @throws UserError that says what is wrong with the URL
 */
export function connectRedis(url: string, kind: ConnectionKind): RedisClient {
  const address = redisAddress(url)
  const options = { ...(kind === 'ingest' ? INGEST : WORKER), ...optionsFor(address) }
  const client = address.kind === 'cluster' ? cluster(address, options) : single(address, options)
  return keepErrors(client)
}

/** A connection of the ingest's kind to one node of the cluster at the URL. */
export function connectNode(url: string, node: { host: string; port: number }): Redis {
  return keepErrors(new Redis({ ...INGEST, ...optionsFor(redisAddress(url)), ...node }))
}

/** Why the client cannot be used, as far as it has been told since it last could; undefined where it can. */
export function lastErrorOf(client: RedisClient): Error | undefined {
  return client.status === 'ready' ? undefined : lastErrors.get(client)
}

const lastErrors = new WeakMap<RedisClient, Error>()

const retry = (times: number) => Math.min(1_000, 50 * times) * (0.75 + Math.random() / 2)

const COMMON: Options = {
  connectTimeout: 1_000,
  keepAlive: 10_000,
  retryStrategy: retry,
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
    // Names are what certificates carry.
    ...(tls && { dnsLookup: (host, done) => done(null, host) }),
    redisOptions: options,
  })
  return client
}

/** ioredis hides causes: those of a cluster's nodes and of Sentinels are events of their own. */
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
    const says =
      error.message === 'Failed to refresh slots cache.' || error.message.startsWith('All sentinels')
    keep(says && cause ? cause : error)
    // ioredis would go on in database 0.
    if (error.command?.name === 'select') client.disconnect(true)
  })
  client.on('ready', () => lastErrors.delete(client))
  // It asks a cluster's nodes over copies of their connections.
  client.on('+node', (node: Redis) => eachCopy(node, (copy) => copy.on('error', keepCause)))
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

/** Resolves with whether commands can be sent, as soon as they can or after `ms`. */
export async function readyWithin(client: RedisClient, ms: number): Promise<boolean> {
  if (client.status !== 'ready') {
    const { promise, resolve } = Promise.withResolvers<void>()
    client.once('ready', resolve)
    await withDeadline(promise, ms, 'connecting to Redis').catch(() => client.off('ready', resolve))
  }
  return client.status === 'ready'
}
