import { isIPv6 } from 'node:net'
import { UserError } from './errors.ts'

/** The parts of REDIS_URL, decoded. */
export type RedisAddress = {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  /** The Redis, the Sentinels, or nodes of the cluster. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** TLS to every host and node; `servername` is the name in their certificates if it is not their address. */
  readonly tls: { readonly servername?: string } | undefined
  readonly family: 4 | 6 | undefined
  /** The name of the master, and the credentials for the Sentinels themselves. */
  readonly sentinel:
    | { readonly name: string; readonly username: string | undefined; readonly password: string | undefined }
    | undefined
}

/**
 * The rest of a sentence that begins with the name of the setting. It shows no part of the URL, which may be a secret.
 */
export type RedisUrlProblem = { readonly problem: string }

const FORM = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
const FORMS =
  'is not a redis://, redis+sentinel:// or redis+cluster:// URL, nor one of these with rediss (special characters of a password are percent-encoded)'
const PARAMETERS = ['family', 'servername', 'sentinelUsername', 'sentinelPassword']

/**
 * Parses a URL, which may have several hosts. No other file knows this grammar.
 * `redis[s][+sentinel|+cluster]://[[user]:password@]host[:port],…[/path][?name=value&…]`. The path is the number of the
 * database, or `master[/database]` for Sentinels. Names: `family` (4 or 6), `servername` (TLS), `sentinelUsername`,
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

/** @throws UserError that names REDIS_URL and the problem */
export function redisAddress(url: string): RedisAddress {
  const address = parseRedisUrl(url)
  if ('problem' in address) throw new UserError(`REDIS_URL ${address.problem}`)
  return address
}

/** Whether another server may take over from a master: there are Sentinels, or a cluster. */
export const mayFailOver = ({ kind }: RedisAddress) => kind !== 'single'

/** `host:port,…/database` as a person knows it, without credentials and parameters. */
export function showRedis({ hosts, sentinel, database }: RedisAddress): string {
  const addresses = hosts.map(({ host, port }) => `${isIPv6(host) ? `[${host}]` : host}:${port}`)
  const path = [sentinel?.name, database > 0 && database].filter(Boolean)
  return [addresses.join(), ...path].join('/')
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
