/** Tries of an event before it becomes a dead letter, in the queue and in the inbox alike. */
export const ATTEMPTS = 8

/** Delay between the tries, ms: doubled each time, with jitter. */
export const BACKOFF = { baseMs: 1_000, maxMs: 60_000 }

/** After so many crashes of its workers an event may be their cause: from then on it is handled alone. */
export const SUSPECT_AFTER = 2

/**
 * Crashes that an event survives. A crash counts for each event that the worker held, so innocent events gain counts
 * together with the guilty one.
 */
export const MAX_CRASHES = 10

/**
 * What a failed statement is about, as far as its code shows (`classifyFailure`). It is a first guess: each of these
 * may concern every event, which only a probe event shows.
 *
 * - `infrastructure`: the connection or the server. Every event fails.
 * - `passing`: what other transactions do at this moment.
 * - `event`: Postgres refuses this row, today and tomorrow.
 * - `unknown`: none of these.
 */
export type Failure = 'infrastructure' | 'passing' | 'event' | 'unknown'

/**
 * Why an event is a dead letter.
 *
 * - `unreadable`: the job's data is no envelope that this build knows
 * - `rejected_by_database`: Postgres refuses the row
 * - `conflict`: another body is stored under the same event id; landing finds this, it is no failure
 * - `attempts_exhausted`: failed too often for a reason that is neither of these
 * - `worker_crashed`: its worker died with it too often
 */
export const DEAD_LETTER_REASONS = [
  'unreadable',
  'rejected_by_database',
  'conflict',
  'attempts_exhausted',
  'worker_crashed',
] as const
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number]

/** How an event failed when it was tried alone. */
export type FailedEvent = {
  /** `not_tried`: its batch ran out of time first. `crash`: its worker died with it. */
  readonly cause: Failure | 'not_tried' | 'unreadable' | 'crash'
  /** Tries that failed, this one included. */
  readonly attempts?: number
  readonly crashes?: number
  /** What a probe event of the same shape does at the same moment, if one was tried. */
  readonly probe?: 'lands' | 'fails'
}

/** `wait` uses up no attempt, `retry` does. */
export type Disposition =
  | { readonly kind: 'wait' }
  | { readonly kind: 'retry' }
  | { readonly kind: 'bury'; readonly reason: DeadLetterReason }

const WAIT: Disposition = { kind: 'wait' }
const RETRY: Disposition = { kind: 'retry' }

/**
 * The one table of what becomes of an event that failed. An event is guilty only if it fails while others of its shape
 * land, whatever the code says.
 */
export function dispositionOf({ cause, attempts = 1, crashes = 0, probe }: FailedEvent): Disposition {
  if (probe === 'fails') return WAIT
  switch (cause) {
    case 'infrastructure':
    case 'passing':
    case 'not_tried':
      return WAIT
    case 'event':
      return bury('rejected_by_database')
    case 'unreadable':
      return bury('unreadable')
    case 'unknown':
      return attempts >= ATTEMPTS ? bury('attempts_exhausted') : RETRY
    case 'crash':
      return crashes > MAX_CRASHES ? bury('worker_crashed') : RETRY
    default:
      return cause satisfies never
  }
}

function bury(reason: DeadLetterReason): Disposition {
  return { kind: 'bury', reason }
}

/** Why a job is buried that BullMQ gave up: it does so after the last attempt or the last crash, and not before. */
export function reasonOfFailedJob({ hasCrashed }: { hasCrashed: boolean }): DeadLetterReason {
  return hasCrashed ? 'worker_crashed' : 'attempts_exhausted'
}
