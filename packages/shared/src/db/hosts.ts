import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import * as z from 'zod'
import { describeError } from '../runtime/errors.ts'

const FORM = /^(postgres(?:ql)?:\/\/)((?:[^@/?]*@)?)([^/?]*)([^?]*)(?:\?(.*))?$/

/**
 * The URLs of the single hosts that DATABASE_URL names: `postgres://u:p@a:5432,b:5432/db`. What the driver does not know is
 * taken out; which of them can be written to is found out (`createPrimaryFinder`), as `target_session_attrs` would ask.
 *
 * @throws Error whose message says what is wrong, without any part of the URL
 */
export function hostsIn(url: string): string[] {
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

/** The setting DATABASE_URL. */
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

/** The driver reads it without connecting, and throws where it cannot. */
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

/** `host:port/database` of each host, never with credentials. */
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
  /** @throws where none can be written to */
  find(): Promise<Place>
  /** The one that was found is not it any more, or does not answer. */
  forget(): void
}

/** Less than a connection may take, so that who asks hears why none was found. */
const ASK_MS = 1_500
/** How long the others may still answer once one has. */
const OTHERS_MS = 250
const WRITABLE = `select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' as writable`
const TIMELINE = `select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as timeline`

/** @returns undefined for a single host, which needs no finding */
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
 * Side by side, so that one that hangs does not hold up the others. An old primary that has come back takes writes too, and
 * must not be taken by some processes: the timeline of the one that was promoted last is the highest.
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
    // As a server says that takes no connections now.
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
    const { rows } = await client.query(WRITABLE)
    if (!rows[0]?.writable) throw new Error('a standby')
    // Servers that are no plain Postgres may not know it.
    const timeline = await client.query(TIMELINE).then(
      (result) => result.rows[0]?.timeline ?? 0,
      () => 0,
    )
    return { place: { host: client.host, port: client.port }, timeline }
  } finally {
    client.end().catch(() => {})
  }
}
