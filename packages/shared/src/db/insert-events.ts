import type { PgColumn } from 'drizzle-orm/pg-core'
import { cleaned } from '../idwise/json.ts'
import { MAX_SKEW_MS } from '../runtime/check.ts'
import { byteaArray, float8Array, textArray, uuidArray } from './array.ts'
import { requestOf } from './enclosed.ts'
import type { EventRow } from './event-row.ts'
import type { KeyText } from './known-events.ts'
import type { Connection } from './pool.ts'
import { events } from './schema.ts'

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
  bytes(events.raw, ({ body }) => body.bytes, 't.bytes'),
  text(events.deliveryId, ({ job }) => job.envelope.deliveryId),
  number(events.receivedAt, ({ at }) => at, 'to_timestamp(t.received_at / 1000.0)'),
  number(events.duplicates, ({ job }) => job.duplicates),
  text(events.via, ({ job }) => (job.replayOf === null ? job.via : 'replay')),
]

const list = (of: (column: Sent, index: number) => string) => COLUMNS.map(of).join(', ')
const [TEXT, REQUEST, KEY] = [COLUMNS.length + 1, COLUMNS.length + 2, COLUMNS.length + 3]

// If a body is text, it is sent once. Postgres makes its bytes and their hash of it, and its document too, unless that
// must be changed for jsonb. Each of them would double the size of a batch.
// The key decides whether an event is new. `is true` keeps the look-up in `fresh` a table of hashes: a join could only
// be a nested loop here (see BEGIN_LANDING).
const INSERT = `
with sent as materialized (
  select t.*, made.raw as bytes, sha256(made.raw) as sha256
  from unnest(${list(({ type }, index) => `$${index + 1}::${type}[]`)}, $${TEXT}::text[], $${REQUEST}::text[], $${KEY}::uuid[])
    with ordinality as t(${list(({ name }) => name)}, sent_text, request, key, n),
    lateral (select coalesce(t.raw, convert_to(t.sent_text, 'UTF8')) as raw) as made),
fresh as (
  insert into event_keys (key, landed_at, n, body) select key, now(), n, substring(sha256 for 8) from sent order by n
  on conflict do nothing returning n),
inserted as (
  insert into events (${list(({ name }) => name)}, body_sha256, request, n)
  select ${list(({ sql }) => sql)}, t.sha256, t.request::jsonb, t.n from sent as t
  where (n in (select n from fresh)) is true)
select n::int - 1 as index from sent where n not in (select n from fresh)`

/**
 * Inserts rows, which must be sorted by key and distinct.
 *
 * @returns the keys that were there before
 */
export async function insertEvents(connection: Connection, rows: readonly EventRow[]): Promise<Set<KeyText>> {
  const texts = textArray(rows.map(({ body }) => body.text))
  const requests = textArray(rows.map(createRequests()))
  const keys = uuidArray(rows.map(({ eventKey }) => eventKey))
  const values = [...COLUMNS.map((column) => column.arrayOf(rows)), texts, requests, keys]
  const { rows: others } = await connection.query({ name: 'insert_events', text: INSERT, values })
  return new Set(others.map(({ index }) => (rows[index] as EventRow).eventKey.toString('latin1')))
}

/**
 * What is kept of the request besides its body; null if nothing is known. It is mostly the same for a whole batch. If
 * the clock of an ingest was wrong and ahead, its time is kept as well.
 */
function createRequests(): (row: EventRow) => string | null {
  const known = new Map<string, string | null>()
  return ({ at, job: { envelope } }) => {
    const { ip, type, encoding, agent, trace } = envelope
    const claimedAt = envelope.at - at > MAX_SKEW_MS ? new Date(envelope.at).toISOString() : undefined
    const name = [ip, type, encoding, agent, trace, claimedAt].join('\n')
    let text = known.get(name)
    if (text === undefined) {
      const request = { ...requestOf(envelope), claimedAt }
      text = name === '\n\n\n\n\n' ? null : JSON.stringify(cleaned(request))
      known.set(name, text)
    }
    return text
  }
}
