import { type DeadLetter, findEvent, type GoneEvent, type StoredEvent } from '../db/index.ts'
import { type Backlog, countBacklog } from './backlog.ts'
import type { Stores } from './stores.ts'

export type FoundEvent = {
  readonly events: readonly StoredEvent[]
  readonly deadLetters: readonly DeadLetter[]
  /** Those that have landed, and are not stored any more. */
  readonly gone: readonly GoneEvent[]
  /** Only if nothing was found: the event may be among these. */
  readonly waiting?: Backlog
}

/** Finds what became of one event. `id` is any of the ids that `findEvent` knows. */
export async function lookUpEvent(stores: Stores, id: string): Promise<FoundEvent> {
  const found = await findEvent(stores.db, id)
  if (found.events.length + found.deadLetters.length + found.gone.length > 0) return found
  return { ...found, waiting: await countBacklog(stores) }
}
