import { type DeadLetter, findEvent } from '../db/index.ts'
import { type Backlog, countBacklog } from './backlog.ts'
import { type EventPage, readEventPage } from './find/event-page.ts'
import type { Stores } from './stores.ts'

export type FoundEvents = {
  /** Of each event that has the id, the newest first. */
  readonly pages: readonly EventPage[]
  /** Those that belong to no event, since nothing in them could be read. */
  readonly deadLetters: readonly DeadLetter[]
  /** Only if nothing was found: the event may be among these. */
  readonly waiting?: Backlog
}

/** Finds what became of one event. `id` is any of the ids that `findEvent` knows, or the key of an event that waits. */
export async function lookUpEvent(stores: Stores, id: string): Promise<FoundEvents> {
  const { events, deadLetters, gone } = await findEvent(stores.db, id)
  const keys = [...events, ...deadLetters].flatMap(({ eventKey }) => eventKey?.toString('hex') ?? [])
  // Of a gone event only the first 32 digits are known.
  const all = [...keys, ...gone.map(({ eventKey }) => eventKey)]
  const unique = all.filter(
    (key, index) => all.findIndex((other) => other.startsWith(key.slice(0, 32))) === index,
  )
  const read = await Promise.all((unique.length > 0 ? unique : [id]).map((key) => readEventPage(stores, key)))
  const pages = read.filter((page) => page.kind === 'event')
  const others = deadLetters.filter(({ eventKey }) => eventKey === null)
  if (pages.length + others.length > 0) return { pages, deadLetters: others }
  return { pages, deadLetters: others, waiting: await countBacklog(stores) }
}
