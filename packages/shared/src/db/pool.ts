import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { errorCode } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { release } from '../runtime/release.ts'
import { limitedClient, withoutLimits } from './client.ts'
import { ERASURES_REQUESTED, SHARE_FENCE } from './erasure-fence.ts'
import { createPrimaryFinder, hostsIn } from './hosts.ts'

/** A connection checked out of a pool, or inside a transaction. */
export type Connection = Pick<pg.ClientBase, 'query'>

/**
 * Runs `work` in one transaction. If `work` throws, the transaction is rolled back; a connection that may be broken is
 * closed. `begunAt` is when the transaction began by Postgres' clock, ms since 1970.
 */
type RunTransaction = <T>(
  work: (connection: pg.PoolClient, begunAt: number) => Promise<T>,
  limits?: TransactionLimits,
) => Promise<T>

/** `erasures` is the number of requests to erase when the transaction began (`ErasedSubjects`). */
type RunLanding = <T>(
  work: (connection: pg.PoolClient, begunAt: number, erasures: number) => Promise<T>,
  limits?: TransactionLimits,
) => Promise<T>

export type Db = {
  readonly pool: pg.Pool
  /** Typed queries for reading. Landing writes its SQL by hand and sends it over the pool. */
  readonly query: NodePgDatabase
  /** Whether the newest connection goes through a pooler. */
  readonly isPooled: boolean
  /** A transaction that the planner plans as it does by default. */
  readonly transaction: RunTransaction
  /**
   * A transaction for the statements of landing, all of which find their rows by key: the planner must use an index.
   * A worker's other writes use it too, because they share these statements, and a plan is kept for the connection.
   */
  readonly landingTransaction: RunLanding
} & AsyncDisposable

/** How long one statement may take, and how long it may wait for a lock, ms. The default is the limit of the pool. */
export type TransactionLimits = { readonly statementMs?: number; readonly lockMs?: number }

/**
 * A pool for one purpose. Every wait has a limit, because `pg` waits for ever for a server that hangs.
 *
 * @param options.statementMs the longest time of a statement; if the server does not answer, the client gives up 2 s
 * later
 * @param options.readOnly its transactions cannot write
 * @param options.waited is told for how long each connection was waited for, in seconds
 */
export function createDb(
  url: string,
  options: {
    max: number
    statementMs: number
    connectMs?: number
    log: Log
    name: string
    readOnly?: boolean
    waited?: (seconds: number) => void
  },
): Db {
  const { statementMs, log, readOnly = false } = options
  const finder = createPrimaryFinder(url)
  let isPooled = false
  const Client = limitedClient({
    statementMs,
    lockMs: Math.min(3_000, statementMs),
    idleInTransactionMs: 15_000,
    readOnly,
    finder,
    connected(pooled) {
      isPooled = pooled
    },
  })
  const pool = new pg.Pool({
    connectionString: hostsIn(url)[0],
    application_name: `sluice ${options.name} ${release()}`,
    max: options.max,
    connectionTimeoutMillis: options.connectMs ?? 2_000,
    Client,
    keepAlive: true,
    // Statements that do not wait for each other are sent together.
    pipeline: true,
    allowExitOnIdle: false,
  })
  if (options.waited) tellWaits(pool, options.waited)
  // Without a listener, an error would end the process.
  pool.on('error', (error) => log.warn({ err: error }, 'idle Postgres connection lost'))
  return {
    pool,
    query: drizzle(pool),
    get isPooled() {
      return isPooled
    },
    transaction: (work, limits) => runTransaction(pool, [BEGIN, NOW], work, limits),
    landingTransaction: (work, limits) => runTransaction(pool, [BEGIN_LANDING, LANDING_STATE], work, limits),
    async [Symbol.asyncDispose]() {
      await pool.end()
    },
  }
}

/** `pool.query` asks for its connection by `connect` as well, with a callback. */
function tellWaits(pool: pg.Pool, waited: (seconds: number) => void): void {
  const connect = pool.connect.bind(pool)
  type Callback = Parameters<typeof connect>[0]
  pool.connect = ((callback?: Callback) => {
    const from = performance.now()
    const tell = () => waited((performance.now() - from) / 1_000)
    if (!callback) return connect().finally(tell)
    connect((...found) => {
      tell()
      callback(...found)
    })
  }) as typeof connect
}

const BEGIN = 'begin'
// A plan is kept as long as its connection. If it was made while a table was small or had no statistics yet, it could
// read the whole table, and would still do so when the table has grown.
const BEGIN_LANDING =
  'begin; set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off'
/**
 * SQLSTATEs whose cause is a row, or another transaction that works on it. After any other, the connection itself may
 * be the cause: it keeps a plan of a table that has changed (0A000), its statements went with the session of a pooler
 * (26000), or its server has become a standby (25006).
 */
const OF_THE_ROW = /^(21|22|23|40|P0)|^(55P03|57014)$/
/** No pool lets a statement take longer. */
const LONG_MS = 60_000
const NOW = 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now'
// Of two statements, so that the second one sees what was committed before the first one held the lock.
const LANDING_STATE = `${SHARE_FENCE}; ${NOW}, ${ERASURES_REQUESTED} as erasures`

async function runTransaction<T>(
  pool: pg.Pool,
  [begin, state]: readonly [begin: string, state: string],
  work: (connection: pg.PoolClient, begunAt: number, erasures: number) => Promise<T>,
  { statementMs, lockMs }: TransactionLimits = {},
): Promise<T> {
  const client = await pool.connect()
  let broken: boolean | Error = false
  try {
    const limits = [
      ...(statementMs === undefined ? [] : [`set local statement_timeout = ${Math.round(statementMs)}`]),
      ...(lockMs === undefined ? [] : [`set local lock_timeout = ${Math.round(lockMs)}`]),
    ]
    // The pool's own limit would end it. The connection is closed afterwards.
    if (statementMs !== undefined && statementMs > LONG_MS) {
      await withoutLimits(client)
      broken = true
    }
    // The driver returns a list of results for a text of several statements.
    const begun = (await client.query([begin, ...limits, state].join('; '))) as unknown as pg.QueryResult[]
    const { now, erasures } = begun.at(-1)?.rows[0] ?? {}
    const result = await work(client, now, erasures)
    await client.query('commit')
    return result
  } catch (error) {
    const code = errorCode(error)
    broken ||= (code !== undefined && !OF_THE_ROW.test(code)) || (await rollbackFailed(client))
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
