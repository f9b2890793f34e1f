import {
  type GoneEvent,
  getDeadLetter,
  type LetterAct,
  type LetterOfEvent,
  type RefusedEvent,
  readEvent,
  readLetterActs,
  readLettersOf,
  readPreviousEvent,
  readRefusal,
  type WholeEvent,
} from '../../db/index.ts'
import {
  decodeBody,
  type JsonChange,
  jsonChanges,
  parseExact,
  sha256,
  textOf,
  writeExact,
} from '../../idwise/index.ts'
import type { Stores } from '../stores.ts'
import { curlLine } from './curl-line.ts'
import { eventTimeline, type Moment } from './event-timeline.ts'
import { type ReceivedEvent, receivedIn, receivedInLetter } from './received.ts'
import { findWaitingKey, type WaitingEvent } from './waiting.ts'

/** Everything that is known of one event. */
export type EventPage = {
  readonly kind: 'event'
  /** Hex: of a gone event only the first 32 digits. */
  readonly eventKey: string
  /** Null if it has not landed, or is not stored any more. */
  readonly event: WholeEvent | null
  readonly gone: GoneEvent | null
  /** Only looked for if it has not landed. */
  readonly waiting: WaitingEvent | null
  readonly refusal: RefusedEvent | null
  /** Newest first. */
  readonly letters: readonly LetterOfEvent[]
  readonly acts: readonly LetterAct[]
  readonly timeline: readonly Moment[]
  /** The event as it was received; null if it is gone, or was refused. */
  readonly received: ReceivedEvent | null
  readonly body: EventBody | null
  readonly previous: PreviousEvent | null
}

type EventBody = {
  readonly raw: Buffer
  /** In lines, with every digit and key as sent; null if it is no JSON. */
  readonly pretty: string | null
  /** As text, decoded if it was gzip; null if it is none. */
  readonly text: string | null
  readonly isCompressed: boolean
  /** Of the bytes, hex. */
  readonly sha256: string
  /** The bytes still have the hash that was stored with them; true if it has not landed, and none is stored yet. */
  readonly isIntact: boolean
  /** A line for a shell that sends the bytes again. */
  readonly curl: string
}

/** The event of the same journey that was received before this one, and what differs in the body. */
export type PreviousEvent = {
  readonly eventKey: string
  readonly event: string | null
  readonly receivedAt: Date
  /** Null if one of both is no JSON. */
  readonly changes: readonly JsonChange[] | null
  readonly isCut: boolean
}

export type EventPageRead = EventPage | { readonly kind: 'no_key' } | { readonly kind: 'not_here' }

/** The events in the inbox, and in each shard of the queue, that are looked through for one that has not landed. */
const WAITING_READ = 1_000

/** @param key an event key in hex, or at least its first 32 digits */
export async function readEventPage(
  stores: Pick<Stores, 'db' | 'queue'>,
  key: string,
): Promise<EventPageRead> {
  if (!/^(?:[0-9a-f]{32}){1,2}$/i.test(key)) return { kind: 'no_key' }
  const { db } = stores
  const given = Buffer.from(key, 'hex')
  const { event, gone } = await readEvent(db, given)
  const whole = event ? Buffer.from(event.eventKey, 'hex') : given
  // A key of 64 digits that only begins like the stored one is another event.
  if (event && given.length === whole.length && !given.equals(whole)) return { kind: 'not_here' }
  const [letters, refusal, found] = await Promise.all([
    readLettersOf(db, whole),
    readRefusal(db, whole),
    event || gone ? null : findWaitingKey(stores, key.toLowerCase(), WAITING_READ),
  ])
  const received =
    event ?? (gone ? null : found ? receivedIn(found.enclosed) : await readInLetter(db, letters))
  const [acts, previous] = await Promise.all([
    readLetterActs(
      db,
      letters.map(({ id }) => id),
    ),
    received && readPreviousEvent(db, received),
  ])
  const waiting = found?.event ?? null
  if (!event && !gone && !waiting && !refusal && letters.length === 0) return { kind: 'not_here' }
  return {
    kind: 'event',
    eventKey: event?.eventKey ?? key.toLowerCase(),
    event,
    gone,
    waiting,
    refusal,
    letters,
    acts,
    timeline: eventTimeline({ event, gone, waiting, refusal, letters, acts }),
    received,
    body: received && bodyOf(received),
    previous: received && previous && compared(previous, received.raw),
  }
}

/** What the newest of these letters has. */
async function readInLetter(
  db: Stores['db'],
  [newest]: readonly LetterOfEvent[],
): Promise<ReceivedEvent | null> {
  const letter = newest && (await getDeadLetter(db, newest.id))
  return letter ? receivedInLetter(letter) : null
}

function bodyOf({ raw, bodySha256, environment, request }: ReceivedEvent): EventBody {
  const hash = sha256(raw)
  const json = parseExact(raw)
  const decoded = decodeBody(raw)
  return {
    raw,
    pretty: json ? writeExact(json, '  ') : null,
    text: textOf(raw) ?? null,
    isCompressed: decoded !== raw,
    sha256: hash.toString('hex'),
    isIntact: bodySha256 === undefined || hash.equals(bodySha256),
    curl: curlLine(raw, environment, request?.contentType),
  }
}

/** @param now the other body */
export function compared(
  { raw, ...previous }: NonNullable<Awaited<ReturnType<typeof readPreviousEvent>>>,
  now: Buffer,
): PreviousEvent {
  const [before, after] = [parseExact(raw), parseExact(now)]
  if (!before || !after) return { ...previous, changes: null, isCut: false }
  return { ...previous, ...jsonChanges(before, after) }
}
