import { GONE_BECAUSE, type GoneEvent, keyStart, OF_KEY } from './event-keys.ts'
import { type WithFailures, withFailures } from './letter-failures.ts'
import type { Db } from './pool.ts'
import type { deadLetters } from './schema.ts'
import { EVENT_SUMMARY, type EventSummary } from './search-events.ts'
import { LETTER_SUMMARY, type LetterSummary, REFUSED, type RefusedEvent } from './search-others.ts'

/** A stored event with its bytes. */
export type WholeEvent = EventSummary & {
  readonly details: unknown
  readonly raw: Buffer
  /** As it was stored with the bytes. */
  readonly bodySha256: Buffer
  readonly request: Readonly<Record<string, unknown>> | null
  readonly deliveryId: string
  /** The body could not be stored as a document beside its bytes. */
  readonly isBytesOnly: boolean
}

const WHOLE = `${EVENT_SUMMARY}, e.details, e.raw, e.body_sha256 as "bodySha256", e.request,
  e.delivery_id as "deliveryId", e.body is null as "isBytesOnly"`

/** @param key at least the first 16 bytes of an event key */
export async function readEvent(
  { pool }: Db,
  key: Buffer,
): Promise<{ event: WholeEvent | null; gone: GoneEvent | null }> {
  const { rows } = await pool.query<WholeEvent & Pick<GoneEvent, 'landedAt' | 'because'>>(
    `select e.*, k.landed_at as "landedAt", ${GONE_BECAUSE} as because
      from event_keys k left join retention r on true
      left join lateral (select ${WHOLE} from events e where ${OF_KEY} offset 0) as e on true where k.key = $1::uuid`,
    [keyStart(key)],
  )
  const [row] = rows
  if (!row) return { event: null, gone: null }
  const { landedAt, because, ...event } = row
  if (event.eventKey === null) return { event: null, gone: { eventKey: keyStart(key), landedAt, because } }
  return { event, gone: null }
}

/** Of the same journey, the event that was received last before this one. */
export async function readPreviousEvent(
  { pool }: Db,
  {
    environment,
    journeyId,
    receivedAt,
    eventKey,
  }: Pick<EventSummary, 'environment' | 'journeyId' | 'receivedAt' | 'eventKey'>,
): Promise<{ eventKey: string; event: string | null; receivedAt: Date; raw: Buffer } | null> {
  if (journeyId === null) return null
  const { rows } = await pool.query(
    `select encode(event_key, 'hex') as "eventKey", event, received_at as "receivedAt", raw from (
      select * from events where journey_id = $1 and environment = $2 offset 0) as e
    where event_key <> $3 and (date_trunc('milliseconds', received_at), event_key) < ($4, $3)
    order by received_at desc, event_key desc limit 1`,
    [journeyId, environment, Buffer.from(eventKey, 'hex'), receivedAt],
  )
  return rows[0] ?? null
}

const MOST = 50

export type LetterOfEvent = LetterSummary & WithFailures

/** The dead letters of an event, newest first, at most 50. */
export async function readLettersOf({ pool }: Db, key: Buffer): Promise<LetterOfEvent[]> {
  const { rows } = await pool.query<
    LetterSummary & Pick<typeof deadLetters.$inferSelect, 'errorClass' | 'earlierFailures'>
  >(
    `select ${LETTER_SUMMARY}, d.error_class as "errorClass", d.earlier_failures as "earlierFailures" from dead_letters d where event_key = $1 order by id desc limit ${MOST}`,
    [key],
  )
  return rows.map(withFailures)
}

/** What was refused of an event, whether it has landed since or not. */
export async function readRefusal({ pool }: Db, key: Buffer): Promise<RefusedEvent | null> {
  const { rows } = await pool.query<RefusedEvent>(
    `select ${REFUSED} from refusals f where f.event_key = $1`,
    [key],
  )
  return rows[0] ?? null
}

export type LetterAct = {
  readonly letter: number
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly reason: string | null
}

/** What people did with dead letters, in the order of time, at most 200 acts. */
export async function readLetterActs({ pool }: Db, letters: readonly number[]): Promise<LetterAct[]> {
  if (letters.length === 0) return []
  const { rows } = await pool.query<LetterAct>(
    `select substring(target from 'dead_letter (\\d+)')::float8 as letter, at, actor, action, reason
      from operator_actions where target = any($1::text[]) order by id desc limit 200`,
    [letters.map((id) => `dead_letter ${id}`)],
  )
  return rows.reverse()
}
