import type { Failure } from '../disposition.ts'
import { errorCode } from '../runtime/errors.ts'

// SQLSTATEs by their first two characters ("PostgreSQL Error Codes"), the exceptions by all five.
const CLASSES: Readonly<Record<string, Failure>> = {
  // Poolers answer with 08P01 while their server is away.
  '08': 'infrastructure',
  '28': 'infrastructure',
  '3D': 'infrastructure',
  '53': 'infrastructure',
  '57': 'infrastructure',
  '40': 'passing',
  '55': 'passing',
  '0A': 'event',
  '21': 'event',
  '22': 'event',
  '23': 'event',
  '54': 'event',
  P0: 'event',
}
const EXCEPTIONS: Readonly<Record<string, Failure>> = {
  // A read-only server, and sessions that it has ended.
  '25006': 'infrastructure',
  '25P03': 'infrastructure',
  '25P04': 'infrastructure',
  '40003': 'infrastructure',
  // Prepared statements that a pooler has lost, or mixed up.
  '26000': 'passing',
  '42P05': 'passing',
  // A statement that took too long, and one that an operator has cancelled.
  '57014': 'unknown',
  // `on conflict` finds no unique index: the schema is that of another release.
  '42P10': 'infrastructure',
  // The row that it refers to may be one that another transaction has not committed yet.
  '23503': 'unknown',
}
/** The routine that raises 0A000 if the columns of a prepared statement have changed. */
const STALE_PLAN = 'RevalidateCachedQuery'
/** The routine that raises 23514 if there is no partition for a row. */
const NO_PARTITION = 'ExecFindPartition'

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

/** Errors of pg that have no code. */
const MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable|Cannot use a pool after calling end/

export function classifyFailure(error: unknown): Failure {
  const code = errorCode(error)
  if (code === undefined) {
    return error instanceof Error && MESSAGES.test(error.message) ? 'infrastructure' : 'unknown'
  }
  if (NETWORK.has(code)) return 'infrastructure'
  if (!/^[0-9A-Z]{5}$/.test(code)) return 'unknown'
  const { routine } = error as { routine?: unknown }
  if (code === '0A000' && routine === STALE_PLAN) return 'passing'
  if (isWithoutPartition(error)) return 'infrastructure'
  return EXCEPTIONS[code] ?? CLASSES[code.slice(0, 2)] ?? 'unknown'
}

/** Whether there is no partition for the time at which events land now. */
export function isWithoutPartition(error: unknown): boolean {
  return errorCode(error) === '23514' && (error as { routine?: unknown }).routine === NO_PARTITION
}

const LOCK_NOT_AVAILABLE = '55P03'

/** Whether it failed because a lock took longer than it may: another transaction holds it. */
export function isLocked(error: unknown): boolean {
  return errorCode(error) === LOCK_NOT_AVAILABLE
}

/** Whether it failed because a lock or a statement took longer than it may. */
export function isTooSlow(error: unknown): boolean {
  return [LOCK_NOT_AVAILABLE, '57014'].includes(errorCode(error) ?? '')
}

/** Whether a table or a column is missing: the schema is that of an earlier release, or there is none. */
export function isNotMigrated(error: unknown): boolean {
  return ['42P01', '42703'].includes(errorCode(error) ?? '')
}

/** Whether a commit may have failed because Postgres holds too many notifications that a listener does not read. */
export function isFullOfNotifications(error: unknown): boolean {
  return errorCode(error) === '54000'
}
