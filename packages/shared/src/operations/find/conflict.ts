import { type DeadLetter, readEvent } from '../../db/index.ts'
import type { Stores } from '../stores.ts'
import { compared, type PreviousEvent } from './event-page.ts'

/** The event that is stored under the id of a conflict, and how the body of the dead letter differs from its body. */
export type ComparedConflict =
  | ({ readonly kind: 'compared' } & PreviousEvent)
  /** It is not stored any more. */
  | { readonly kind: 'gone' }

/** @returns null if the dead letter is no conflict */
export async function compareConflict(
  { db }: Pick<Stores, 'db'>,
  { reason, eventKey, raw }: Pick<DeadLetter, 'reason' | 'eventKey' | 'raw'>,
): Promise<ComparedConflict | null> {
  if (reason !== 'conflict' || eventKey === null) return null
  const { event } = await readEvent(db, eventKey)
  if (!event) return { kind: 'gone' }
  const { eventKey: key, event: name, receivedAt } = event
  return { kind: 'compared', ...compared({ eventKey: key, event: name, receivedAt, raw: event.raw }, raw) }
}
