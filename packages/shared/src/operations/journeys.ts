import {
  findJourneys,
  findLetters,
  type JourneyStory,
  type JourneyStoryEvent,
  type LetterSummary,
  readJourneyStory,
  type StoredJourney,
} from '../db/index.ts'
import { storedId } from '../idwise/index.ts'
import { journeyTimeline, type TimelineEntry } from '../journey/index.ts'
import { hasFailed, readUnlanded, type Unlanded } from './find/unlanded.ts'
import type { Stores } from './stores.ts'

export type JourneyWithTimeline = {
  readonly journey: StoredJourney
  /** In order of receipt; only the newest events if there are more than `JourneyStory` holds. */
  readonly timeline: readonly TimelineEntry<JourneyStoryEvent>[]
  /** How many events the journey has. */
  readonly total: number
  /** How many of them landed before `journey.baseUntil` and are no longer stored. */
  readonly dropped: number
}

export type JourneysFound = Unlanded & {
  readonly journeys: readonly JourneyWithTimeline[]
  readonly total: number
  /** The open dead letters of the id or reference number: events that have not landed. */
  readonly letters: readonly LetterSummary[]
}

/**
 * The journeys of an id or a reference number, the last active first, each with what its events did to it; and what of
 * that name has not landed.
 *
 * @returns as many journeys as `findJourneys` returns, and how many there are
 */
export async function lookUpJourneys(
  stores: Pick<Stores, 'db' | 'queue'>,
  name: string,
): Promise<JourneysFound> {
  const { db } = stores
  const id = storedId(name)
  const isNamed = (event: { journeyId: string | null; referenceNo: string | null }) =>
    event.journeyId === id || event.referenceNo === id
  const [{ journeys, total }, letters, unlanded] = await Promise.all([
    findJourneys(db, name),
    findLetters(db, [id], [null]),
    readUnlanded(stores, isNamed),
  ])
  const withTimelines = journeys.map(async (journey) => {
    const story = await readJourneyStory(db, journey)
    return { journey, timeline: timelineOf(story), total: story.total, dropped: story.dropped }
  })
  return {
    ...unlanded,
    letters: letters.filter((letter) => isNamed(letter) && hasFailed(letter)),
    journeys: await Promise.all(withTimelines),
    total,
  }
}

/** A spot check has no journey id. It stands in the timeline at its time of receipt, and changes nothing. */
export function timelineOf({ events, earlier }: JourneyStory): TimelineEntry<JourneyStoryEvent>[] {
  const { own = [], attached = [] } = Object.groupBy(events, ({ attachedByReference }) =>
    attachedByReference ? 'attached' : 'own',
  )
  const entries = [
    ...journeyTimeline(own, earlier),
    ...attached.map((event) => ({
      event,
      changed: [],
      supersededBecause: 'attached by reference: it has no journey id',
    })),
  ]
  return entries.sort((a, b) => a.event.lastAt - b.event.lastAt)
}
