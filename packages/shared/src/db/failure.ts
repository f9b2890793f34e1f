import { errorCode } from '../runtime/errors.ts'

/**
 * What a failed statement says about the event that it was for.
 *
 * - `infrastructure`: Postgres is away, overloaded, read-only or not migrated; the event is fine and waits.
 * - `event`: Postgres refuses this row, today and tomorrow.
 * - `unknown`: neither; worth some more tries.
 */
export type Failure = 'infrastructure' | 'event' | 'unknown'

// SQLSTATEs by their first two characters ("PostgreSQL Error Codes"), the exceptions by all five.
const INFRASTRUCTURE_CLASSES = ['08', '28', '40', '53', '55', '57', '58', 'XX']
const EVENT_CLASSES = ['22', '23', '21', '54', '0A', 'P0']
const EXCEPTIONS: Readonly<Record<string, Failure>> = {
  // Sent with more parameters than the protocol counts, or a bug of ours: waiting would never end.
  '08P01': 'event',
  '42804': 'event',
  // Schema, database, rights or read-only mode: an operator's doing, and over when he is done.
  '25006': 'infrastructure',
  '25P03': 'infrastructure',
  '25P04': 'infrastructure',
  '3D000': 'infrastructure',
  '3F000': 'infrastructure',
  '42501': 'infrastructure',
  '42P01': 'infrastructure',
  '42P02': 'infrastructure',
  '42703': 'infrastructure',
  '42883': 'infrastructure',
  // A row that another transaction has not committed yet may be the one that is referred to.
  '23503': 'unknown',
}

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EMFILE',
])

/** pg gives these no code. */
const MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable|Cannot use a pool after calling end/

export function classifyFailure(error: unknown): Failure {
  const code = errorCode(error)
  if (code === undefined) {
    return error instanceof Error && MESSAGES.test(error.message) ? 'infrastructure' : 'unknown'
  }
  if (NETWORK.has(code)) return 'infrastructure'
  const exception = EXCEPTIONS[code]
  if (exception) return exception
  if (!/^[0-9A-Z]{5}$/.test(code)) return 'unknown'
  const sqlClass = code.slice(0, 2)
  if (INFRASTRUCTURE_CLASSES.includes(sqlClass)) return 'infrastructure'
  return EVENT_CLASSES.includes(sqlClass) ? 'event' : 'unknown'
}
