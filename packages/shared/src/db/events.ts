import type { Environment } from '../envelope.ts'
import { ANONYMOUS_WINDOW_MS } from '../idwise/identity.ts'
import { cleaned } from '../idwise/json.ts'
import { byteaArray, float8Array, textArray } from './array.ts'
import { bodySha256, type EventRow } from './event-row.ts'
import type { Connection } from './pool.ts'

/** Keys travel as latin1 strings, so that they can be compared and looked up. */
type KeyText = string

// A body that is text comes once: its bytes, its hash and, unless it must be cleaned for jsonb, its document are made
// of it here, since each would double what a batch sends.
const INSERT = `
with inserted as (insert into events (event_key, environment, event, kind, event_id, journey_id, reference_no, system_decision,
  manual_decision, final_decision, details, body, raw, body_sha256, request, arrival, received_at, duplicates, via)
select k, env, e, kind, id, j, ref, sd, md, fd, det::jsonb, (case b when '' then txt else b end)::jsonb, bytes,
  sha256(bytes), req::jsonb, arr, to_timestamp(at / 1000.0), dup, via
from unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::text[], $11::text[], $12::text[], $13::bytea[], $14::text[], $15::text[], $16::text[], $17::float8[], $18::float8[],
  $19::text[])
  as t(k, env, e, kind, id, j, ref, sd, md, fd, det, b, raw, txt, req, arr, at, dup, via),
  lateral (select coalesce(raw, convert_to(txt, 'UTF8')) as bytes) as body
on conflict (event_key) do nothing
returning event_key)
select k as event_key from unnest($1::bytea[]) as k where k not in (select event_key from inserted)`
const SAME_AS_TEXT = ''

/**
 * Inserts rows, which must be sorted by key and distinct.
 *
 * @returns the keys that were there before.
 */
export async function insertEvents(connection: Connection, rows: readonly EventRow[]): Promise<Set<KeyText>> {
  const texts = (pick: (row: EventRow) => string | null) => textArray(rows.map(pick))
  const bytes = (pick: (row: EventRow) => Buffer | null) => byteaArray(rows.map(pick))
  const { rows: others } = await connection.query({
    name: 'insert_events',
    text: INSERT,
    values: [
      bytes((row) => row.eventKey),
      texts((row) => row.environment),
      texts((row) => row.event.event),
      texts((row) => row.event.kind),
      texts((row) => row.event.eventId),
      texts((row) => row.event.journeyId),
      texts((row) => row.event.referenceNo),
      texts((row) => row.event.systemDecision),
      texts((row) => row.event.manualDecision),
      texts((row) => row.event.finalDecision),
      texts((row) => row.event.details && JSON.stringify(row.event.details)),
      texts(({ json, body }) => (json === body.text && body.text ? SAME_AS_TEXT : json)),
      bytes((row) => row.body.bytes),
      texts((row) => row.body.text),
      texts(requests()),
      texts((row) => row.delivery.envelope.deliveryId),
      float8Array(rows.map((row) => row.at)),
      float8Array(rows.map((row) => row.delivery.duplicates)),
      texts((row) => (row.delivery.replayOf === null ? row.delivery.via : 'replay')),
    ],
  })
  return new Set(others.map((row) => row.event_key.toString('latin1')))
}

/** How far clocks may differ before what an ingest's clock said is kept, as far as the checks let them. */
const MAX_SKEW_MS = 2_000

/** What is kept of the request beside its body, null where nothing is known of it: mostly the same for a whole batch. */
function requests(): (row: EventRow) => string | null {
  const known = new Map<string, string | null>()
  return ({ at, delivery: { envelope } }) => {
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

/** What tells a duplicate from a conflict and from a second run of the same job, and whose journey is concerned. */
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
    text: `select event_key as key, body_sha256 as "bodySha256", arrival as "deliveryId", environment, journey_id as "journeyId",
        round(extract(epoch from received_at) * 1000)::float8 as "receivedAt"
      from events where event_key = any($1::bytea[]) order by event_key for no key update`,
    values: [byteaArray(keys)],
  })
  return new Map(rows.map(({ key, ...event }) => [key.toString('latin1'), event]))
}

/**
 * The stored bytes of those events that may be the same document in other bytes: a sender that compresses a body anew for
 * each delivery may write the time into it.
 *
 * @param keys of locked events that are there with other bytes
 * @param compressed those of them whose new body is compressed; of the others only stored ones that are
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
 * Adds further deliveries to events that the caller has locked. One that came earlier than the one that landed (it was
 * held up on its way) moves the event's arrival back, so that the order of landing does not show.
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
 * Takes the turn for each of these bodies, then finds the stored events without id that have them, within the window
 * around the arrivals.
 *
 * @param rows one per environment and body
 * @returns by `environment sha256hex`: key and first arrival, ms since 1970
 */
export async function newestAnonymous(
  connection: Connection,
  rows: readonly EventRow[],
): Promise<Map<string, { eventKey: Buffer; receivedAt: number }[]>> {
  const sorted = rows.map(bodySha256).sort(Buffer.compare)
  // The lock's number is taken from the hash; two bodies that share it only wait for each other.
  await connection.query({
    name: 'lock_bodies',
    text: 'select pg_advisory_xact_lock(n) from (select n from unnest($1::bigint[]) as t(n) order by n) as sorted',
    values: [sorted.map((sha256) => sha256.readBigInt64BE())],
  })
  const { rows: found } = await connection.query({
    name: 'find_anonymous',
    text: `select environment, body_sha256, event_key, round(extract(epoch from received_at) * 1000)::float8 as received_at
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
