import { type EventPlace, type EventSummary, readClock, readEventsPage } from '../../db/index.ts'
import { describeError, pause } from '../../runtime/index.ts'
import type { Stores } from '../stores.ts'
import type { EventsQuery } from './events-query.ts'
import { readQuery } from './wanted.ts'

/** `away`: Postgres does not answer; it is asked again. */
export type Followed =
  | { readonly kind: 'events'; readonly events: readonly EventSummary[] }
  | { readonly kind: 'away'; readonly words: string }
  | { readonly kind: 'refused'; readonly words: string }

const EVERY_MS = 1_000
const PAGE = 500
/**
 * An event has its time of landing when its transaction begins, so one with an earlier time may be committed later.
 * What landed within this time is read again, and given once.
 */
const LATE_US = 10_000_000n

/**
 * Gives events as they land, in the order of landing: first the last `recent` ones, then new ones until the signal.
 */
export async function* followEvents(
  stores: Pick<Stores, 'db'>,
  query: EventsQuery,
  { recent, everyMs = EVERY_MS, signal }: { recent: number; everyMs?: number; signal?: AbortSignal },
): AsyncGenerator<Followed> {
  const { db } = stores
  const asked = await readQuery(stores, query)
  if (asked.kind === 'refused') {
    yield asked
    return
  }
  const { source, filters } = asked
  /** The events of the last seconds that have been given, with their times of landing. */
  const given = new Map<string, bigint>()
  let newest = await readClock(db)
  await readNew()
  const { events } = await readEventsPage(db, { source, filters, limit: Math.max(1, recent) })
  const last = recent === 0 ? [] : events.toReversed()
  for (const { eventKey, place } of last) given.set(eventKey, BigInt(place.us))
  yield { kind: 'events', events: last.map(withoutPlace) }
  while (!signal?.aborted) {
    await pause(everyMs)
    const found = await readNew().catch(
      (error): Followed => ({ kind: 'away', words: describeError(error).message }),
    )
    if (!('length' in found)) yield found
    else if (found.length > 0) yield { kind: 'events', events: found }
  }

  async function readNew(): Promise<EventSummary[]> {
    const since = newest - LATE_US
    for (const [key, us] of given) if (us < since) given.delete(key)
    const found: EventSummary[] = []
    let beyond: EventPlace | null = { us: String(since), n: 0, eventKey: '' }
    while (beyond) {
      const read = await readEventsPage(db, { source, filters, limit: PAGE, beyond, towards: 'newer' })
      for (const event of read.events) {
        const us = BigInt(event.place.us)
        if (us > newest) newest = us
        if (given.has(event.eventKey)) continue
        given.set(event.eventKey, us)
        found.push(withoutPlace(event))
      }
      beyond = read.lookedTo
    }
    return found
  }
}

function withoutPlace({ place: _, ...event }: EventSummary & { readonly place: EventPlace }): EventSummary {
  return event
}
