import { type DeadLetter, findEvent, type StoredEvent } from '../db/index.ts'
import { type Backlog, countBacklog } from './backlog.ts'
import type { Stores } from './stores.ts'

export type FoundEvent = {
  readonly events: readonly StoredEvent[]
  readonly deadLetters: readonly DeadLetter[]
  /** Only if nothing was found: the event may be among these. */
  readonly waiting?: Backlog
}

/** What became of one event. @param id as `findEvent` takes it */
export async function lookUpEvent(stores: Stores, id: string): Promise<FoundEvent> {
  const found = await findEvent(stores.db, id)
  if (found.events.length + found.deadLetters.length > 0) return found
  return { ...found, waiting: await countBacklog(stores) }
}
