import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import * as z from 'zod'
import { describeError } from '../runtime/errors.ts'
import { IS_WRITABLE } from './session.ts'

/** The driver's other forms of a socket: `socket:/FOLDER?db=DATABASE` and `/FOLDER DATABASE`. */
const SOCKET = /^(socket:|\/)/
const FORM = /^(postgres(?:ql)?:\/\/)((?:[^@/?]*@)?)([^/?]*)([^?]*)(?:\?(.*))?$/

/**
 * Splits DATABASE_URL, such as `postgres://u:p@a:5432,b:5432/db`, into one URL for each host. The driver does not know
 * `target_session_attrs`, so it is removed: `createPrimaryFinder` always finds the host that can be written to.
 *
 * @throws Error whose message says what is wrong, without any part of the URL
 */
export function hostsIn(url: string): string[] {
  if (SOCKET.test(url)) {
    readByDriver(url)
    return [url]
  }
  const [whole, scheme, credentials, hosts = '', path = '', query] = FORM.exec(url) ?? []
  if (whole === undefined) {
    throw new Error(
      'is not a postgres:// URL, or its password has special characters that are not percent-encoded',
    )
  }
  const options = new URLSearchParams(query)
  options.delete('target_session_attrs')
  const rest = `${path}${options.size > 0 ? `?${options}` : ''}`
  const all = hosts
    .split(',')
    .map((host) => `${scheme}${credentials}${host}${query === undefined ? path : rest}`)
  for (const each of all) readByDriver(each)
  return all
}

/** The schema of the setting DATABASE_URL. */
export const databaseUrl = z
  .string()
  .superRefine((url, context) => {
    try {
      hostsIn(url)
    } catch (error) {
      context.issues.push({ code: 'custom', message: (error as Error).message, input: undefined })
    }
  })
  .meta({ fromFile: true })

/** Lets the driver parse the URL, without connecting. */
function readByDriver(url: string): pg.Client {
  try {
    return new pg.Client({ connectionString: url })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'EACCES') throw new Error(`names a file that cannot be read (${code})`)
    throw new Error(
      'is not a URL: look at host and port, and percent-encode special characters in the password',
    )
  }
}

/** `host:port/database` of each host, without credentials. */
export function placeOf(url: string): string {
  return hostsIn(url)
    .map((each) => {
      const { host, port, database } = readByDriver(each)
      return `${host}:${port}/${database}`
    })
    .join(', ')
}

type Place = { host: string; port: number }

/** Knows which of several hosts can be written to. */
export type PrimaryFinder = {
  /** @throws if no host can be written to */
  find(): Promise<Place>
  /** Call it if the host that was found cannot be written to any more, or does not answer. */
  forget(): void
}

/** Shorter than the limit for a connection, so that the caller gets the reason why no host was found. */
const ASK_MS = 1_500
/** How long the other hosts may still answer after the first answer. */
const OTHERS_MS = 250
const TIMELINE = `select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as timeline`

/** @returns undefined for a single host */
export function createPrimaryFinder(url: string): PrimaryFinder | undefined {
  const hosts = hostsIn(url)
  if (hosts.length === 1) return undefined
  let found: Promise<Place> | undefined
  return {
    find() {
      found ??= askAll(hosts).catch((error) => {
        found = undefined
        throw error
      })
      return found
    },
    forget() {
      found = undefined
    },
  }
}

/**
 * Asks all hosts at the same time, so that a host that hangs does not delay the others. An old primary that has come
 * back accepts writes too, and no process may use it: the host that was promoted last has the highest timeline.
 */
async function askAll(hosts: readonly string[]): Promise<Place> {
  const asked = hosts.map(ask)
  const writable: { place: Place; timeline: number }[] = []
  for (const answer of asked) {
    answer.then(
      (one) => writable.push(one),
      () => {},
    )
  }
  try {
    await Promise.any(asked)
  } catch (error) {
    const causes = (error as AggregateError).errors.map((each) => describeError(each).message)
    // The code of a server that accepts no connections now.
    throw Object.assign(
      new Error(`none of the ${hosts.length} hosts can be written to (${[...new Set(causes)].join('; ')})`),
      { code: '57P03' },
    )
  }
  await Promise.race([Promise.allSettled(asked), delay(OTHERS_MS, undefined, { ref: false })])
  return writable.reduce((best, one) => (one.timeline > best.timeline ? one : best)).place
}

async function ask(url: string): Promise<{ place: Place; timeline: number }> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'sluice',
    connectionTimeoutMillis: ASK_MS,
    query_timeout: ASK_MS,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query(`select ${IS_WRITABLE} as writable`)
    if (!rows[0]?.writable) throw new Error('a standby')
    // A server that is not plain Postgres may not know the function.
    const timeline = await client.query(TIMELINE).then(
      (result) => result.rows[0]?.timeline ?? 0,
      () => 0,
    )
    return { place: { host: client.host, port: client.port }, timeline }
  } finally {
    client.end().catch(() => {})
  }
}
