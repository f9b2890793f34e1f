import { hash } from 'node:crypto'
import { rawBytes, readEnvelope } from '../envelope.ts'
import { type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import { eventKey } from '../idwise/identity.ts'
import { cleanText } from '../idwise/json.ts'
import { classifyFailure, isTooSlow } from './failure.ts'
import { type FoldOptions, foldJourneyOf } from './journeys.ts'
import type { Connection } from './pool.ts'
import { deadLetters } from './schema.ts'

/**
 * Why an event is a dead letter.
 *
 * - `unreadable`: the job's data is no envelope that this build knows
 * - `rejected_by_database`: Postgres refuses the row
 * - `conflict`: another body is stored under the same event id
 * - `attempts_exhausted`: failed too often for a reason that is neither of these
 * - `worker_crashed`: its worker died with it too often
 */
export type DeadLetterReason =
  | 'unreadable'
  | 'rejected_by_database'
  | 'conflict'
  | 'attempts_exhausted'
  | 'worker_crashed'

export type NewDeadLetter = {
  /** What was appended is dropped: one event has one dead letter, however often it is replayed. */
  readonly jobId: string
  readonly reason: DeadLetterReason
  readonly error: { readonly name: string; readonly code?: string; readonly message: string }
  readonly attempts: number
  /** The job's data as JSON text. */
  readonly envelope: string
}

/** What is appended to a job id: by a replay, and by `insertInbox` where a row cannot be reached. */
const SUFFIX = /-r\d+$|(?<=^e-[0-9a-f]{64})-d[\w-]+$/

/** The job under which a dead letter's envelope is sent again for the n-th time. */
export function replayJobId(jobId: string, replay: number): string {
  return `${jobId}-r${replay}`
}

// A second run of the same arrival (its worker died before it could complete the job) leaves the state alone, or it
// would reopen what an operator has discarded meanwhile. A failed replay and a new delivery open it again.
const DELIVERY_ID = deadLetters.deliveryId.name
const UPSERT = `
insert into dead_letters (job_id, event_key, environment, event, event_id, journey_id, reference_no, reason,
  error_class, error_message, fingerprint, attempts, raw, envelope, ${DELIVERY_ID}, received_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, to_timestamp($16::float8 / 1000))
on conflict (job_id) do update set
  reason = excluded.reason, error_class = excluded.error_class, error_message = excluded.error_message,
  fingerprint = excluded.fingerprint, attempts = excluded.attempts, last_failed_at = now(),
  ${DELIVERY_ID} = excluded.${DELIVERY_ID},
  state = case when dead_letters.state = 'replaying' or dead_letters.${DELIVERY_ID} is distinct from excluded.${DELIVERY_ID}
    then 'open' else dead_letters.state end`

/**
 * Writes rows, or brings the rows of the same events up to date, in the caller's transaction. What an event says of
 * itself may be the very thing that Postgres refuses: then the row is written without it.
 */
export async function writeDeadLetters(
  connection: Connection,
  letters: readonly NewDeadLetter[],
  options: FoldOptions = {},
): Promise<void> {
  const write = (values: unknown[]) => connection.query({ name: 'write_dead_letter', text: UPSERT, values })
  for (const letter of letters.toSorted((a, b) => (a.jobId < b.jobId ? -1 : 1))) {
    await connection.query('savepoint dead_letter')
    try {
      const values = valuesOf(letter, parseEvent)
      await write(values)
      // It may have been a conflict until now, which marks the journey of the stored event. Conflicts fold it themselves.
      if (letter.reason !== 'conflict') {
        await foldJourneyOf(connection, values[1] as Buffer | null, options)
      }
    } catch (error) {
      if (['infrastructure', 'passing'].includes(classifyFailure(error)) || isTooSlow(error)) throw error
      await connection.query('rollback to savepoint dead_letter')
      await write(valuesOf(letter, () => undefined))
    }
  }
}

function valuesOf(
  { jobId, reason, error, attempts, envelope }: NewDeadLetter,
  parse: (raw: Buffer) => IdwiseEvent | undefined,
): unknown[] {
  const data = parseJson(envelope)
  const read = readEnvelope(data)
  // What is no envelope is kept as it lay in the store.
  const raw = read ? rawBytes(read) : Buffer.from(typeof data === 'string' ? data : envelope)
  const event = read && parse(raw)
  const key = read && event?.eventId ? eventKey(read.env, { ...event, eventId: event.eventId }) : null
  const errorClass = error.code ? `${error.name} ${error.code}` : error.name
  return [
    keyOfJob(jobId),
    key,
    read?.env ?? null,
    event?.event ?? null,
    event?.eventId ?? null,
    event?.journeyId ?? null,
    event?.referenceNo ?? null,
    reason,
    errorClass,
    cleanText(error.message),
    fingerprint(reason, errorClass, error.message, event?.kind ?? ''),
    attempts,
    raw,
    cleanText(envelope),
    read?.deliveryId ?? null,
    read?.at ?? null,
  ]
}

/** Our own job ids are short; one that somebody else has made need not fit the index. */
function keyOfJob(jobId: string): string {
  const base = cleanText(jobId.replace(SUFFIX, ''))
  return base.length <= 200 ? base : `x-${hash('sha256', jobId, 'hex')}`
}

/** The same for errors that differ only in ids, numbers and quoted values. */
function fingerprint(...[reason, errorClass, message, kind]: [string, string, string, string]): string {
  const fixed = message.replace(/"[^"]*"|'[^']*'|[0-9a-f-]{8,}|\d+/gi, '*')
  return hash('sha256', [reason, errorClass, fixed, kind].join('\n'), 'hex').slice(0, 16)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The transaction that lands a replayed event resolves its dead letter. */
export async function resolveReplayed(connection: Connection, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return
  await connection.query({
    name: 'resolve_replayed',
    text: `update dead_letters set state = 'resolved' where id = any($1::bigint[]) and state = 'replaying'`,
    values: [ids],
  })
}
