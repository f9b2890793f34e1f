import {
  type Db,
  findJourneys,
  type JourneyStory,
  type JourneyStoryEvent,
  readJourneyStory,
  type StoredJourney,
} from '../db/index.ts'
import { journeyTimeline, type TimelineEntry } from '../journey/index.ts'

export type JourneyWithTimeline = {
  readonly journey: StoredJourney
  /** In order of receipt; only the newest events if there are more than `JourneyStory` holds. */
  readonly timeline: readonly TimelineEntry<JourneyStoryEvent>[]
  /** How many events the journey has. */
  readonly total: number
  /** How many of them landed before `journey.baseUntil` and are no longer stored. */
  readonly dropped: number
}

/**
 * The journeys of an id or a reference number, the last active first, each with what its events did to it.
 *
 * @returns as many journeys as `findJourneys` returns, and how many there are
 */
export async function lookUpJourneys(
  db: Db,
  name: string,
): Promise<{ journeys: JourneyWithTimeline[]; total: number }> {
  const { journeys, total } = await findJourneys(db, name)
  const withTimelines = journeys.map(async (journey) => {
    const story = await readJourneyStory(db, journey)
    return { journey, timeline: timelineOf(story), total: story.total, dropped: story.dropped }
  })
  return { journeys: await Promise.all(withTimelines), total }
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
