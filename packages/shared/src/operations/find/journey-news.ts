import {
  type JourneyName,
  type LetterSummary,
  readJourney,
  readLettersOfJourney,
  type StoredJourney,
} from '../../db/index.ts'
import { storedId } from '../../idwise/index.ts'
import type { Stores } from '../stores.ts'

/** What differs once a page about a journey would show something else. */
export type JourneyMark = {
  /** How many events the journey has. */
  readonly events: number
  readonly mark: string
}

export function markJourney(
  journey: Pick<StoredJourney, 'events' | 'updatedAt'> | undefined,
  letters: readonly Pick<LetterSummary, 'id' | 'state'>[],
): JourneyMark {
  const open = letters.filter(({ state }) => state === 'open').length
  return {
    events: journey?.events ?? 0,
    mark: [journey?.updatedAt.getTime() ?? 0, letters[0]?.id ?? 0, open].join('-'),
  }
}

export async function readJourneyMark({ db }: Pick<Stores, 'db'>, asked: JourneyName): Promise<JourneyMark> {
  const name = { environment: asked.environment, journeyId: storedId(asked.journeyId) }
  const [journey, letters] = await Promise.all([readJourney(db, name), readLettersOfJourney(db, name)])
  return markJourney(journey, letters)
}
