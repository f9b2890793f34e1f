/** Where Redis is, as REDIS_URL says it. */
export type RedisUrl = {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  readonly tls: boolean
  /** One server, the Sentinels, or some nodes of the cluster. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** The name under which the Sentinels know the master. */
  readonly master: string
  readonly sentinelUsername: string | undefined
  readonly sentinelPassword: string | undefined
}

const FORM = /^redis(s)?(?:\+(sentinel|cluster))?:\/\/(?:([^/?]*)@)?([^/?@]+)(?:\/([^?]*))?(?:\?(.*))?$/
const HOST = /^(?:\[([\da-f:.]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/i
const OPTIONS = ['sentinelUsername', 'sentinelPassword']

/**
 * Reads `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, `redis+sentinel://…@HOST:PORT,…/MASTER[/DATABASE]
 * [?sentinelPassword=…&sentinelUsername=…]` or `redis+cluster://…@HOST:PORT,…`, each with TLS as `rediss`. What is
 * reserved in a URL is percent-encoded. User and password are those of the servers, of Sentinels only where
 * `sentinelPassword` names no others.
 *
 * @throws Error whose message says what is wrong, without any part of the URL
 */
export function parseRedisUrl(url: string): RedisUrl {
  const [whole, secure, form, credentials, hosts = '', path = '', query = ''] = FORM.exec(url) ?? []
  if (whole === undefined) {
    throw new Error('is not a redis://, rediss://, redis+sentinel:// or redis+cluster:// URL')
  }
  const kind = (form as 'sentinel' | 'cluster' | undefined) ?? 'single'
  const [username, password] = credentialsIn(credentials)
  const options = new URLSearchParams(query)
  if (kind === 'sentinel' && [...options.keys()].some((name) => !OPTIONS.includes(name))) {
    throw new Error(`knows no options but ${OPTIONS.join(' and ')}`)
  }
  const [master = '', database] = kind === 'sentinel' ? path.split('/') : ['', path]
  if (database && !/^\d{1,6}$/.test(database)) throw new Error('names a database that is no number')
  if (kind === 'cluster' && Number(database || 0) > 0)
    throw new Error('names a database, which a cluster has not')
  const all = hosts.split(',').map((host) => hostIn(host, kind === 'sentinel' ? 26_379 : 6_379))
  if (kind === 'single' && all.length > 1) {
    throw new Error('names several hosts: use redis+sentinel:// or redis+cluster:// for these')
  }
  return {
    kind,
    tls: secure !== undefined,
    hosts: all,
    username,
    password,
    database: Number(database || 0),
    master: decoded(master) || 'mymaster',
    sentinelUsername: options.get('sentinelUsername') ?? undefined,
    sentinelPassword: options.get('sentinelPassword') ?? undefined,
  }
}

function credentialsIn(
  text: string | undefined,
): [username: string | undefined, password: string | undefined] {
  if (!text) return [undefined, undefined]
  const at = text.indexOf(':')
  const [username, password] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
  if (/[@:]/.test(password))
    throw new Error('has a password whose special characters are not percent-encoded')
  return [decoded(username) || undefined, decoded(password) || undefined]
}

function hostIn(text: string, byDefault: number): { host: string; port: number } {
  const [, six, name, port] = HOST.exec(text) ?? []
  const host = six ?? name
  if (host === undefined || Number(port ?? 1) > 65_535 || Number(port ?? 1) === 0) {
    throw new Error('has a host or port that is none')
  }
  return { host, port: Number(port ?? byDefault) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error('has a percent sign that encodes nothing')
  }
}
