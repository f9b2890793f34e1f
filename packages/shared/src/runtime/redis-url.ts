import { isIPv6 } from 'node:net'

/** What REDIS_URL says, all of it decoded. */
export type RedisAddress = {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  /** One Redis, the Sentinels, or nodes of the cluster. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** TLS to every host and node; `servername` is the name in their certificates where it is not their address. */
  readonly tls: { readonly servername?: string } | undefined
  readonly family: 4 | 6 | undefined
  /** The master's name among the Sentinels, and what they ask for themselves. */
  readonly sentinel:
    | { readonly name: string; readonly username: string | undefined; readonly password: string | undefined }
    | undefined
}

/** Ends the sentence that the name of the setting begins; never shows a part of the URL, which may be a secret. */
export type RedisUrlProblem = { readonly problem: string }

const FORM = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
const FORMS =
  'is not a redis://, redis+sentinel:// or redis+cluster:// URL, nor one of these with rediss (special characters of a password are percent-encoded)'
const PARAMETERS = ['family', 'servername', 'sentinelUsername', 'sentinelPassword']

/**
 * Takes a URL apart, which may have several hosts:
 * `redis[s][+sentinel|+cluster]://[[user]:password@]host[:port],…[/path][?name=value&…]`. The path is the number of the
 * database, or `master[/database]` for Sentinel. Names: `family` (4 or 6), `servername` (TLS), `sentinelUsername`,
 * `sentinelPassword`.
 */
export function parseRedisUrl(url: string): RedisAddress | RedisUrlProblem {
  const [matches, s, kind = 'single', user, hostList = '', path = '', query = ''] = FORM.exec(url) ?? []
  if (matches === undefined) return { problem: FORMS }
  const hosts = hostList.split(',').map((host) => hostOf(host, kind === 'sentinel' ? 26_379 : 6_379))
  if (!hosts.every((host) => host !== undefined)) return { problem: 'has a host or port that is none' }
  if (kind === 'single' && hosts.length > 1) {
    return { problem: 'has several hosts: that is redis+sentinel:// or redis+cluster://' }
  }
  try {
    const colon = user?.indexOf(':') ?? -1
    const [username, password] = [colon < 0 ? user : user?.slice(0, colon), user?.slice(colon + 1)].map(
      decoded,
    )
    const parameters = new Map(query.split('&').filter(Boolean).map(pair))
    const problem = wrongParameter(parameters, kind, s === 's') ?? wrongPath(kind, path)
    if (problem) return { problem }
    const [first = '', second = ''] = path.split('/')
    const servername = parameters.get('servername')
    const family = parameters.get('family')
    return {
      kind: kind as RedisAddress['kind'],
      hosts,
      username: username || undefined,
      password: colon < 0 ? undefined : password || undefined,
      database: Number(kind === 'sentinel' ? second : first),
      tls: s === 's' ? { ...(servername && { servername }) } : undefined,
      family: family === undefined ? undefined : family === '6' ? 6 : 4,
      sentinel:
        kind === 'sentinel'
          ? {
              name: decoded(first) || 'mymaster',
              username: parameters.get('sentinelUsername'),
              password: parameters.get('sentinelPassword'),
            }
          : undefined,
    }
  } catch {
    return { problem: 'has a % that begins no percent-encoded character: write %25' }
  }
}

function hostOf(text: string, port: number): { host: string; port: number } | undefined {
  const [, inBrackets, name, given = String(port)] =
    /^(?:\[([^\]]*)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = inBrackets ?? name
  if (!host || (inBrackets !== undefined && !isIPv6(inBrackets))) return undefined
  return Number(given) >= 1 && Number(given) <= 65_535 ? { host, port: Number(given) } : undefined
}

function wrongParameter(given: ReadonlyMap<string, string>, kind: string, tls: boolean): string | undefined {
  const family = given.get('family')
  if ([...given.keys()].some((name) => !PARAMETERS.includes(name))) {
    return `has a parameter that is none of ${PARAMETERS.join(', ')}`
  }
  if (family !== undefined && family !== '4' && family !== '6') return 'has a family that is neither 4 nor 6'
  if (given.has('servername') && !tls) return 'has a servername without TLS: that is rediss'
  if (kind !== 'sentinel' && (given.has('sentinelUsername') || given.has('sentinelPassword'))) {
    return 'has credentials for Sentinels without redis+sentinel://'
  }
  return undefined
}

function wrongPath(kind: string, path: string): string | undefined {
  const [first = '', ...more] = path.split('/')
  if (kind === 'cluster')
    return path === '' || path === '0' ? undefined : 'has a database: a cluster has 0 alone'
  const [database = '', ...rest] = kind === 'sentinel' ? more : [first, ...more]
  return /^\d{0,6}$/.test(database) && rest.every((part) => part === '')
    ? undefined
    : 'has a database that is not a number'
}

function pair(text: string): [string, string] {
  const [name = '', ...value] = text.split('=')
  return [name, decodeURIComponent(value.join('='))]
}

const decoded = (text: string | undefined) => text && decodeURIComponent(text)
