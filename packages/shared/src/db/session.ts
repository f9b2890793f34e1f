/** The longest waits of a connection, ms. */
export type SessionLimits = {
  readonly statementMs: number
  readonly lockMs: number
  readonly idleInTransactionMs: number
}

/**
 * What the statements of Sluice and the driver's reading of results rely on, whatever a role or a database brings along.
 * Left to the operator: `synchronous_commit` and `default_transaction_read_only`, which the checks look at.
 */
const RELIED_ON: Readonly<Record<string, string>> = {
  search_path: 'public',
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  default_transaction_isolation: 'read committed',
  transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  client_min_messages: 'warning',
  row_security: 'on',
  plan_cache_mode: 'auto',
  jit: 'off',
  enable_indexscan: 'on',
  enable_indexonlyscan: 'on',
  enable_bitmapscan: 'on',
  enable_tidscan: 'on',
  enable_nestloop: 'on',
  enable_sort: 'on',
}

/** Says so of the transaction that is under way, and is none of the session. */
const OF_TRANSACTION = ['transaction_isolation']
/** Takes effect with the next transaction. */
const OF_SESSION = ['default_transaction_isolation', 'default_transaction_deferrable']
/** Limits that end what may last, by the version that brought them; a pooler's idle sessions are its own. */
const ENDS_SESSIONS = { name: 'idle_session_timeout', since: 140_000 }
const ENDS_TRANSACTIONS = { name: 'transaction_timeout', since: 170_000 }

function limitsOf({ statementMs, lockMs, idleInTransactionMs }: SessionLimits): Record<string, string> {
  return {
    statement_timeout: String(statementMs),
    lock_timeout: String(lockMs),
    idle_in_transaction_session_timeout: String(idleInTransactionMs),
  }
}

/**
 * Asks whether there is a pooler in between: the server's process is another one than was told at the start. Where there is
 * none, it sets the session up in the same round trip; a pooler would hand the settings on to others.
 *
 * @param processId as the server has told it
 */
export function openingStatement(processId: number, limits: SessionLimits): string {
  const settings = Object.entries({ ...RELIED_ON, ...limitsOf(limits) })
    .filter(([name]) => !OF_TRANSACTION.includes(name))
    .map(([name, value]) => `set_config('${name}', '${value}', false)`)
  const newer = [ENDS_SESSIONS, ENDS_TRANSACTIONS].map(
    ({ name, since }) => `case when ${VERSION} >= ${since} then set_config('${name}', '0', false) end`,
  )
  const isDirect = `pg_backend_pid() = ${Math.trunc(processId)}`
  return `select ${isDirect} as direct, ${VERSION} as version,
    not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' as writable,
    case when ${isDirect} then length(concat(${[...settings, ...newer].join(', ')})) end`
}

const VERSION = `current_setting('server_version_num')::int`

/**
 * Begins a transaction with the same settings, which end with it.
 *
 * @param version of the server, such as 150018
 */
export function openingOfTransaction(limits: SessionLimits, version: number): string {
  const newer = version >= ENDS_TRANSACTIONS.since ? { [ENDS_TRANSACTIONS.name]: '0' } : {}
  const settings = Object.entries({ ...RELIED_ON, ...limitsOf(limits), ...newer })
    .filter(([name]) => !OF_SESSION.includes(name))
    .map(([name, value]) => `set local ${name} = ${name === 'search_path' ? value : `'${value}'`}`)
  return `begin; ${settings.join('; ')}`
}
