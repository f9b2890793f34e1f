/** The longest waits of a connection, ms. */
export type SessionLimits = {
  readonly statementMs: number
  readonly lockMs: number
  readonly idleInTransactionMs: number
  /** Transactions cannot write. */
  readonly readOnly?: boolean
}

/**
 * The settings on which the statements of Sluice and the driver's parsing of results rely. They replace those that a
 * role or a database brings along. `synchronous_commit` and `default_transaction_read_only` are left to the operator;
 * the checks look at them.
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

/** Can be set for a transaction alone. */
const OF_TRANSACTION = ['transaction_isolation', 'transaction_read_only']
/** Take effect with the next transaction, so setting them in a transaction has no use. */
const OF_SESSION = [
  'default_transaction_isolation',
  'default_transaction_deferrable',
  'default_transaction_read_only',
]
/** Limits that must not end Sluice's sessions and transactions, with the version of Postgres that brought each. */
const ENDS_SESSIONS = { name: 'idle_session_timeout', since: 140_000 }
const ENDS_TRANSACTIONS = { name: 'transaction_timeout', since: 170_000 }

function limitsOf(limits: SessionLimits): Record<string, string> {
  const { statementMs, lockMs, idleInTransactionMs, readOnly } = limits
  return {
    statement_timeout: String(statementMs),
    lock_timeout: String(lockMs),
    idle_in_transaction_session_timeout: String(idleInTransactionMs),
    ...(readOnly && { default_transaction_read_only: 'on', transaction_read_only: 'on' }),
  }
}

/**
 * Asks whether the connection goes through a pooler, and if it does not, sets the session up in the same round trip. A
 * pooler would pass the settings on to other clients.
 *
 * @param processId of the server's process, as the connection reported it. Behind a pooler, another process answers.
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
    ${IS_WRITABLE} as writable,
    case when ${isDirect} then length(concat(${[...settings, ...newer].join(', ')})) end`
}

const VERSION = `current_setting('server_version_num')::int`
/** SQL: whether the server takes writes. */
export const IS_WRITABLE = `not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'`

/**
 * Begins a transaction with the same settings. They end with the transaction.
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
