import { hash } from 'node:crypto'
import type { DeadLetterReason } from '../disposition.ts'
import { parseJson, rawBytes, readEnvelope } from '../envelope.ts'
import { type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import { eventKey } from '../idwise/identity.ts'
import { cleanText } from '../idwise/json.ts'
import { describeError, rootCause } from '../runtime/errors.ts'
import { readEnclosed } from './enclosed.ts'
import type { Erased } from './erased.ts'
import { classifyFailure, isTooSlow } from './failure.ts'
import { type FoldOptions, foldJourneyOf } from './journeys.ts'
import { type KeptOut, keepOut } from './keep-out.ts'
import { WITH_LAST_FAILURE } from './letter-failures.ts'
import type { Connection } from './pool.ts'
import { deadLetters } from './schema.ts'

export type NewDeadLetter = {
  /** Without what a replay appended: one event has one dead letter, however often it is replayed. */
  readonly jobId: string
  readonly reason: DeadLetterReason
  readonly error: { readonly name: string; readonly code?: string; readonly message: string }
  /** The names of the schema in the error, such as those of a constraint and its table; none if it came as a text. */
  readonly names?: readonly string[]
  readonly attempts: number
  /** The job's data as JSON text. */
  readonly envelope: string
}

/** @param error what was thrown */
export function letterOf(
  { jobId, envelope, attempts }: Pick<NewDeadLetter, 'jobId' | 'envelope' | 'attempts'>,
  reason: DeadLetterReason,
  error: unknown,
): NewDeadLetter {
  return { jobId, reason, error: describeError(error), names: schemaNames(error), attempts, envelope }
}

/** "PostgreSQL, Error and Notice Message Fields": these never hold a value of a row. */
const NAME_FIELDS = ['schema', 'table', 'column', 'dataType', 'constraint'] as const

function schemaNames(error: unknown): string[] {
  const fields = Object(rootCause(error)) as Readonly<Record<string, unknown>>
  const names = NAME_FIELDS.flatMap((field) =>
    typeof fields[field] === 'string' ? [`${field} ${fields[field]}`] : [],
  )
  // The one error that names the length of its type here alone.
  const [precision] = /precision \d+, scale -?\d+/.exec(String(fields.detail ?? '')) ?? []
  return fields.code === '22003' && precision ? [...names, precision] : names
}

/** What is appended to a job id: by a replay, and by `insertInbox` if another transaction holds the row. */
const SUFFIX = /-r\d+$|(?<=^e-[0-9a-f]{64})-d[\w-]+$/

/** The id of the job that sends a dead letter's envelope again for the n-th time. */
export function replayJobId(jobId: string, replay: number): string {
  return `${jobId}-r${replay}`
}

/** SQL: the same for a row of `dead_letters`. */
export const REPLAY_JOB_ID = `job_id || '-r' || replays`

// A second run of the same delivery (its worker died before it could complete the job) leaves the state alone, or it
// would reopen a letter that an operator has discarded meanwhile. A failed replay and a new delivery open it again.
const DELIVERY_ID = deadLetters.deliveryId.name
const UPSERT = `
insert into dead_letters (job_id, event_key, environment, event, event_id, journey_id, reference_no, reason,
  error_class, error_message, fingerprint, attempts, raw, envelope, ${DELIVERY_ID}, received_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, to_timestamp($16::float8 / 1000))
on conflict (job_id) do update set earlier_failures = ${WITH_LAST_FAILURE},
  reason = excluded.reason, error_class = excluded.error_class, error_message = excluded.error_message,
  fingerprint = excluded.fingerprint, attempts = excluded.attempts, last_failed_at = now(),
  ${DELIVERY_ID} = excluded.${DELIVERY_ID},
  state = case when dead_letters.state = 'replaying' or dead_letters.${DELIVERY_ID} is distinct from excluded.${DELIVERY_ID}
    then 'open' else dead_letters.state end`

/**
 * Writes dead letters, or updates those of the same events, in the caller's transaction. If Postgres refuses a letter
 * because of what the event contains, the letter is written without the event's names and ids.
 *
 * @param options.erased of what nothing may be stored: such letters are not written, and their events get their keys
 * @returns how many letters were written
 */
export async function writeDeadLetters(
  connection: Connection,
  letters: readonly NewDeadLetter[],
  { erased, ...options }: FoldOptions & { readonly erased?: Erased } = {},
): Promise<number> {
  if (erased && erased.size > 0) return writeUnlessErased(connection, letters, { ...options, erased })
  const write = (values: unknown[]) => connection.query({ name: 'write_dead_letter', text: UPSERT, values })
  for (const letter of letters.toSorted((a, b) => (a.jobId < b.jobId ? -1 : 1))) {
    await connection.query('savepoint dead_letter')
    try {
      const values = valuesOf(letter, parseEvent)
      await write(values)
      // The letter may have been a conflict, which marks the stored event's journey. Landing folds new conflicts.
      if (letter.reason !== 'conflict') {
        await foldJourneyOf(connection, values[1] as Buffer | null, options)
      }
    } catch (error) {
      if (['infrastructure', 'passing'].includes(classifyFailure(error)) || isTooSlow(error)) throw error
      await connection.query('rollback to savepoint dead_letter')
      await write(valuesOf(letter, () => undefined))
    }
  }
  return letters.length
}

async function writeUnlessErased(
  connection: Connection,
  letters: readonly NewDeadLetter[],
  { erased, ...options }: FoldOptions & { readonly erased: Erased },
): Promise<number> {
  const out = new Map<NewDeadLetter, KeptOut>()
  for (const letter of letters) {
    const read = readEnclosed(letter.envelope)
    const erasure = read && erased.of(read.environment, read.event)
    if (read && erasure !== undefined) out.set(letter, { eventKey: read.eventKey, erasure })
  }
  await keepOut(connection, [...out.values()])
  erased.stillComes([...out.values()].map(({ erasure }) => erasure))
  return writeDeadLetters(
    connection,
    letters.filter((letter) => !out.has(letter)),
    options,
  )
}

function valuesOf(
  { jobId, reason, error, names = [], attempts, envelope }: NewDeadLetter,
  parse: (raw: Buffer) => IdwiseEvent | undefined,
): unknown[] {
  const data = parseJson(envelope)
  const read = readEnvelope(data)
  // Data that is no envelope is kept as it was stored.
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
    fingerprint([reason, errorClass, error.message, event?.kind ?? '', ...names]),
    attempts,
    raw,
    cleanText(envelope),
    read?.deliveryId ?? null,
    read?.at ?? null,
  ]
}

/** Our job ids are short. A job id that came otherwise into Redis may be too long for the index. */
function keyOfJob(jobId: string): string {
  const base = cleanText(jobId.replace(SUFFIX, ''))
  return base.length <= 200 ? base : `x-${hash('sha256', jobId, 'hex')}`
}

/** A length of a type, and a name of the schema in quotes: the error of a failed job has no fields, only its text. */
const KEPT =
  /type [a-z ]+\(\d+(?:,\d+)?\)|(?<=\b(?:schema|relation|table|column|constraint|type|domain|function|trigger) )"[^"]*"/
const VARYING = new RegExp(`(${KEPT.source})|"[^"]*"|'[^']*'|[0-9a-f-]{8,}|[\\w-]*\\d[\\w.-]*`, 'gi')
const MOST_CAUSE = 300
/** A partition is as good as another. */
const PARTITION = /\bevents_(?:\d{8}|before)(?!\d)/g

/** The same for errors that differ only in ids, numbers and quoted values, but not in names of the schema. */
function fingerprint([reason, errorClass, message, ...rest]: [string, string, string, ...string[]]): string {
  const fixed = message
    .replace(PARTITION, 'events')
    .replace(VARYING, (_, kept: string | undefined) => kept ?? '*')
  const names = rest.map((name) => name.replace(PARTITION, 'events'))
  return hash('sha256', [reason, errorClass, fixed, ...names].join('\n'), 'hex').slice(0, 16)
}

/** The class of an error and the names of the schema in its message; the rest of that may name a person. */
export function causeWithoutValues(errorClass: string, message: string): string {
  const kept = [...message.matchAll(new RegExp(KEPT.source, 'gi'))].map(({ 0: name, index }) =>
    name.startsWith('"') ? `${message.slice(0, index).split(' ').at(-2)} ${name}` : name,
  )
  return [errorClass, ...new Set(kept)].join(', ').slice(0, MOST_CAUSE)
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
