import type { JourneyName, LetterSummary } from '../../db/index.ts'
import type { Stores } from '../stores.ts'
import { readWaiting, WAITING_READ, type WaitingEvent, wordsOfWaiting } from './waiting.ts'

/** What of a journey may still change it. */
export type Unlanded = {
  readonly waiting: readonly WaitingEvent[]
  /** If more may wait than were looked at: how far was looked, in words. */
  readonly looked: readonly string[]
}

/** The waiting events that are wanted, among those that have waited longest. */
export async function readUnlanded(
  stores: Pick<Stores, 'db' | 'queue'>,
  isWanted: (event: WaitingEvent) => boolean,
): Promise<Unlanded> {
  const waiting = await readWaiting(stores, WAITING_READ, isWanted)
  return { waiting: waiting.events, looked: waiting.isAll ? [] : wordsOfWaiting(waiting) }
}

export function isOfJourney(
  { environment, journeyId }: JourneyName,
  event: { readonly environment: string | null; readonly journeyId: string | null },
): boolean {
  return event.environment === environment && event.journeyId === journeyId
}

/** An event that has not landed: another body under the id of one that has landed is none. */
export function hasFailed({ state, reason }: LetterSummary): boolean {
  return state === 'open' && reason !== 'conflict'
}
