import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { errorCode } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { limitedClient } from './client.ts'
import { createPrimaryFinder, hostsIn } from './hosts.ts'

/** A connection checked out of a pool, or inside a transaction. */
export type Connection = Pick<pg.ClientBase, 'query'>

export type Db = {
  readonly pool: pg.Pool
  /** Typed queries for reading and for acts of an operator; landing speaks SQL over the pool. */
  readonly query: NodePgDatabase
  /** Whether the newest connection goes through a pooler. */
  readonly isPooled: boolean
  /**
   * Runs `work` in one transaction; a throw rolls back, and a broken connection is thrown away. `begunAt` is when it
   * began by Postgres' clock, ms since 1970.
   */
  transaction<T>(
    work: (connection: pg.PoolClient, begunAt: number) => Promise<T>,
    limits?: TransactionLimits,
  ): Promise<T>
} & AsyncDisposable

/** How long one statement may take, and how long it may wait for a lock, ms; by default as the pool has it. */
export type TransactionLimits = { readonly statementMs?: number; readonly lockMs?: number }

/**
 * A pool for one purpose. Every wait has a limit: without them `pg` waits for ever on a server that hangs.
 *
 * @param options.statementMs the longest statement; the client gives up 2 s later, should the server not answer
 */
export function createDb(
  url: string,
  options: { max: number; statementMs: number; connectMs?: number; log: Log; name: string },
): Db {
  const { statementMs, log } = options
  const finder = createPrimaryFinder(url)
  let isPooled = false
  const Client = limitedClient({
    statementMs,
    lockMs: Math.min(3_000, statementMs),
    idleInTransactionMs: 15_000,
    finder,
    connected(pooled) {
      isPooled = pooled
    },
  })
  const pool = new pg.Pool({
    connectionString: hostsIn(url)[0],
    application_name: `sluice ${options.name}`,
    max: options.max,
    connectionTimeoutMillis: options.connectMs ?? 2_000,
    Client,
    keepAlive: true,
    // Statements that do not wait for each other travel together.
    pipeline: true,
    allowExitOnIdle: false,
  })
  // Unheard, it would end the process.
  pool.on('error', (error) => log.warn({ err: error }, 'idle Postgres connection lost'))
  return {
    pool,
    query: drizzle(pool),
    get isPooled() {
      return isPooled
    },
    transaction: (work, limits) => transaction(pool, work, limits),
    async [Symbol.asyncDispose]() {
      await pool.end()
    },
  }
}

// Every statement of ours finds its rows by key. A plan is kept as long as its connection, and one that was made while
// a table was small, or had no statistics yet, would read it from end to end when it has grown.
const BEGIN =
  'begin; set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off'
/**
 * SQLSTATEs that tell of a row or of who else works on it. After any other the connection itself may be what fails: it
 * keeps a plan of a table that has changed (0A000), its statements are gone with a pooler's session (26000), its server has
 * become a standby (25006).
 */
const OF_THE_ROW = /^(21|22|23|40|P0)|^(55P03|57014)$/
const NOW = 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now'

async function transaction<T>(
  pool: pg.Pool,
  work: (connection: pg.PoolClient, begunAt: number) => Promise<T>,
  { statementMs, lockMs }: TransactionLimits = {},
): Promise<T> {
  const client = await pool.connect()
  let broken: boolean | Error = false
  try {
    const limits = [
      ...(statementMs === undefined ? [] : [`set local statement_timeout = ${Math.round(statementMs)}`]),
      ...(lockMs === undefined ? [] : [`set local lock_timeout = ${Math.round(lockMs)}`]),
    ]
    // Of several statements in one text the driver gives a list of results.
    const begun = (await client.query([BEGIN, ...limits, NOW].join('; '))) as unknown as pg.QueryResult[]
    const result = await work(client, begun.at(-1)?.rows[0]?.now)
    await client.query('commit')
    return result
  } catch (error) {
    const code = errorCode(error)
    broken = (code !== undefined && !OF_THE_ROW.test(code)) || (await rollbackFailed(client))
    throw error
  } finally {
    client.release(broken)
  }
}

async function rollbackFailed(client: pg.PoolClient): Promise<boolean> {
  return client.query('rollback').then(
    () => false,
    () => true,
  )
}
