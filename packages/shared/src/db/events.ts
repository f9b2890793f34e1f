import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Environment } from '../envelope.ts'
import { ANONYMOUS_WINDOW_MS } from '../idwise/identity.ts'
import { cleaned } from '../idwise/json.ts'
import { byteaArray, float8Array, textArray } from './array.ts'
import { bodySha256, type EventRow } from './event-row.ts'
import type { Connection } from './pool.ts'
import { events } from './schema.ts'

/** A key as a latin1 string, which can be compared and looked up. */
type KeyText = string

type Sent = {
  readonly name: string
  readonly type: 'text' | 'bytea' | 'float8'
  /** The SQL of the column, made of what was sent as `t`. */
  readonly sql: string
  arrayOf(rows: readonly EventRow[]): Buffer
}

function text({ name }: PgColumn, of: (row: EventRow) => string | null, sql = `t.${name}`): Sent {
  return { name, type: 'text', sql, arrayOf: (rows) => textArray(rows.map(of)) }
}

function bytes({ name }: PgColumn, of: (row: EventRow) => Buffer | null, sql = `t.${name}`): Sent {
  return { name, type: 'bytea', sql, arrayOf: (rows) => byteaArray(rows.map(of)) }
}

function number({ name }: PgColumn, of: (row: EventRow) => number, sql = `t.${name}`): Sent {
  return { name, type: 'float8', sql, arrayOf: (rows) => float8Array(rows.map(of)) }
}

const SAME_AS_TEXT = ''

/** The columns of a new row. What Postgres can make of another column is not sent, and has no line here. */
const COLUMNS: readonly Sent[] = [
  bytes(events.eventKey, (row) => row.eventKey),
  text(events.environment, (row) => row.environment),
  text(events.event, ({ event }) => event.event),
  text(events.kind, ({ event }) => event.kind),
  text(events.eventId, ({ event }) => event.eventId),
  text(events.journeyId, ({ event }) => event.journeyId),
  text(events.referenceNo, ({ event }) => event.referenceNo),
  text(events.systemDecision, ({ event }) => event.systemDecision),
  text(events.manualDecision, ({ event }) => event.manualDecision),
  text(events.finalDecision, ({ event }) => event.finalDecision),
  text(events.details, ({ event }) => event.details && JSON.stringify(event.details), 't.details::jsonb'),
  text(
    events.body,
    ({ json, body }) => (json === body.text && body.text ? SAME_AS_TEXT : json),
    `(case t.body when '${SAME_AS_TEXT}' then t.sent_text else t.body end)::jsonb`,
  ),
  bytes(events.raw, ({ body }) => body.bytes, 'made.raw'),
  text(events.deliveryId, ({ job }) => job.envelope.deliveryId),
  number(events.receivedAt, ({ at }) => at, 'to_timestamp(t.received_at / 1000.0)'),
  number(events.duplicates, ({ job }) => job.duplicates),
  text(events.via, ({ job }) => (job.replayOf === null ? job.via : 'replay')),
]

const list = (of: (column: Sent, index: number) => string) => COLUMNS.map(of).join(', ')
const [TEXT, REQUEST] = [COLUMNS.length + 1, COLUMNS.length + 2]

// If a body is text, it is sent once. Postgres makes its bytes and their hash of it, and its document too, unless that
// must be changed for jsonb. Each of them would double the size of a batch.
const INSERT = `
with inserted as (insert into events (${list(({ name }) => name)}, body_sha256, request)
select ${list(({ sql }) => sql)}, sha256(made.raw), t.request::jsonb
from unnest(${list(({ type }, index) => `$${index + 1}::${type}[]`)}, $${TEXT}::text[], $${REQUEST}::text[])
  as t(${list(({ name }) => name)}, sent_text, request),
  lateral (select coalesce(t.raw, convert_to(t.sent_text, 'UTF8')) as raw) as made
on conflict (event_key) do nothing
returning event_key)
select k as event_key from unnest($1::bytea[]) as k where k not in (select event_key from inserted)`

/**
 * Inserts rows, which must be sorted by key and distinct.
 *
 * @returns the keys that were there before
 */
export async function insertEvents(connection: Connection, rows: readonly EventRow[]): Promise<Set<KeyText>> {
  const texts = textArray(rows.map(({ body }) => body.text))
  const requests = textArray(rows.map(createRequests()))
  const values = [...COLUMNS.map((column) => column.arrayOf(rows)), texts, requests]
  const { rows: others } = await connection.query({ name: 'insert_events', text: INSERT, values })
  return new Set(others.map((row) => row.event_key.toString('latin1')))
}

/** As far as the checks let clocks differ. If an ingest's clock was ahead by more, its time is kept as well. */
const MAX_SKEW_MS = 2_000

/** What is kept of the request besides its body; null if nothing is known. It is mostly the same for a whole batch. */
function createRequests(): (row: EventRow) => string | null {
  const known = new Map<string, string | null>()
  return ({ at, job: { envelope } }) => {
    const { ip, type, agent, trace } = envelope
    const claimedAt = envelope.at - at > MAX_SKEW_MS ? new Date(envelope.at).toISOString() : undefined
    const name = [ip, type, agent, trace, claimedAt].join('\n')
    let text = known.get(name)
    if (text === undefined) {
      const request = {
        sourceAddress: ip,
        contentType: type,
        userAgent: agent,
        traceparent: trace,
        claimedAt,
      }
      text = name === '\n\n\n\n' ? null : JSON.stringify(cleaned(request))
      known.set(name, text)
    }
    return text
  }
}

/** What must be known of a stored event to compare a delivery with it. */
export type LockedEvent = {
  readonly bodySha256: Buffer
  readonly deliveryId: string
  readonly environment: Environment
  readonly journeyId: string | null
  /** ms since 1970 */
  readonly receivedAt: number
}

/** Locks the stored events of these keys, which must be sorted. */
export async function lockEvents(
  connection: Connection,
  keys: readonly Buffer[],
): Promise<Map<KeyText, LockedEvent>> {
  const { rows } = await connection.query({
    name: 'lock_events',
    text: `select event_key as key, body_sha256 as "bodySha256", ${events.deliveryId.name} as "deliveryId", environment,
        journey_id as "journeyId", round(date_part('epoch', received_at) * 1000) as "receivedAt"
      from events where event_key = any($1::bytea[]) order by event_key for no key update`,
    values: [byteaArray(keys)],
  })
  return new Map(rows.map(({ key, ...event }) => [key.toString('latin1'), event]))
}

/**
 * The stored bytes of events that may be the same document in other bytes, because a sender may compress a body anew
 * for each delivery and write the time into it.
 *
 * @param keys of locked events that are stored with other bytes
 * @param compressed those of them whose new body is compressed; the others are read only if their stored body is
 */
export async function readCompressed(
  connection: Connection,
  keys: readonly Buffer[],
  compressed: readonly Buffer[],
): Promise<Map<KeyText, Buffer>> {
  const { rows } = await connection.query<{ key: Buffer; raw: Buffer }>({
    name: 'read_compressed',
    text: `select event_key as key, raw from events where event_key = any($1::bytea[])
      and (event_key = any($2::bytea[]) or substring(raw for 2) = decode('1f8b', 'hex'))`,
    values: [byteaArray(keys), byteaArray(compressed)],
  })
  return new Map(rows.map(({ key, raw }) => [key.toString('latin1'), raw]))
}

/**
 * Adds further deliveries to events that the caller has locked. If one was received before the one that landed first,
 * the event takes its time of receipt, so that the order of landing makes no difference.
 */
export async function countDuplicates(
  connection: Connection,
  deliveries: ReadonlyMap<KeyText, { count: number; firstAt: number }>,
): Promise<void> {
  if (deliveries.size === 0) return
  const values = [...deliveries.values()]
  await connection.query({
    name: 'count_duplicates',
    text: `update events set duplicates = duplicates + t.n, received_at = least(received_at, to_timestamp(t.at / 1000))
      from unnest($1::bytea[], $2::int[], $3::float8[]) as t(k, n, at) where event_key = t.k`,
    values: [
      [...deliveries.keys()].map((key) => Buffer.from(key, 'latin1')),
      values.map(({ count }) => count),
      values.map(({ firstAt }) => firstAt),
    ],
  })
}

/**
 * Locks each of these bodies, then finds the stored events without id that have them, within the window around the
 * times of receipt.
 *
 * @param rows one per environment and body
 * @returns by `environment sha256hex`: the key and the first time of receipt, ms since 1970
 */
export async function newestAnonymous(
  connection: Connection,
  rows: readonly EventRow[],
): Promise<Map<string, { eventKey: Buffer; receivedAt: number }[]>> {
  const sorted = rows.map(bodySha256).sort(Buffer.compare)
  // The lock's number is the start of the hash. Two bodies with the same number only wait for each other.
  await connection.query({
    name: 'lock_bodies',
    text: 'select pg_advisory_xact_lock(n) from (select n from unnest($1::bigint[]) as t(n) order by n) as sorted',
    values: [sorted.map((sha256) => sha256.readBigInt64BE())],
  })
  const { rows: found } = await connection.query({
    name: 'find_anonymous',
    text: `select environment, body_sha256, event_key, round(date_part('epoch', received_at) * 1000) as received_at
      from events where event_id is null and body_sha256 = any($1::bytea[])
      and received_at > to_timestamp($2::float8 / 1000) order by received_at`,
    values: [sorted, Math.min(...rows.map((row) => row.at)) - 2 * ANONYMOUS_WINDOW_MS],
  })
  const groups = Map.groupBy(found, (row) => `${row.environment} ${row.body_sha256.toString('hex')}`)
  return new Map(
    [...groups].map(([name, group]) => [
      name,
      group.map((row) => ({ eventKey: row.event_key as Buffer, receivedAt: row.received_at as number })),
    ]),
  )
}
