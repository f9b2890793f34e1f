import { and, asc, eq, isNull, or, sql } from 'drizzle-orm'
import type { EventDetails, EventKind } from '../idwise/event.ts'
import type { JourneyEvent } from '../idwise/journey.ts'
import { foldJourneys, type JourneyName } from './journeys.ts'
import type { Db } from './pool.ts'
import { deadLetters, events, journeys } from './schema.ts'

export type StoredJourney = typeof journeys.$inferSelect

/** An event of a journey as the timeline shows it. */
export type JourneyStoryEvent = JourneyEvent & {
  readonly eventKey: string
  readonly eventId: string | null
  readonly duplicates: number
  readonly via: string
  /** A spot check carries no journey id; it is shown with the journeys of its reference. */
  readonly attachedByReference: boolean
}

/** The journeys with this id or reference number, the last one active first, at most 100. */
export async function findJourneys(db: Db, name: string): Promise<StoredJourney[]> {
  return db.query
    .select()
    .from(journeys)
    .where(or(eq(journeys.journeyId, name), eq(journeys.referenceNo, name)))
    .orderBy(sql`${journeys.lastEventAt} desc`)
    .limit(100)
}

/** The events of a journey, and the spot checks of its reference, in order of arrival, at most 1,000. */
export async function readJourneyStory(db: Db, journey: StoredJourney): Promise<JourneyStoryEvent[]> {
  const ofJourney = eq(events.journeyId, journey.journeyId)
  const spotChecks =
    journey.referenceNo === null
      ? undefined
      : and(
          isNull(events.journeyId),
          eq(events.kind, 'finished_spot_check'),
          eq(events.referenceNo, journey.referenceNo),
        )
  const conflict = sql<boolean>`exists (select from ${deadLetters} d where d.event_key = ${events.eventKey}
    and d.reason = 'conflict' and d.state in ('open', 'replaying'))`
  const rows = await db.query
    .select({ event: events, conflict })
    .from(events)
    .where(and(eq(events.environment, journey.environment), or(ofJourney, spotChecks)))
    .orderBy(asc(events.receivedAt), asc(events.eventKey))
    .limit(1_000)
  return rows.map(({ event, conflict }) => {
    const details = (event.details ?? {}) as EventDetails
    return {
      kind: event.kind as EventKind,
      event: event.event,
      referenceNo: event.referenceNo,
      systemDecision: event.systemDecision,
      manualDecision: event.manualDecision,
      finalDecision: event.finalDecision,
      action: details.action ?? null,
      trigger: details.trigger ?? null,
      previousSystemDecision: details.previousSystemDecision ?? null,
      amlVersion: details.updatedAMLVersionNumber ?? null,
      conflict,
      firstAt: event.receivedAt.getTime(),
      lastAt: event.receivedAt.getTime(),
      count: 1,
      eventKey: event.eventKey.toString('hex'),
      eventId: event.eventId,
      duplicates: event.duplicates,
      via: event.via,
      attachedByReference: event.journeyId === null,
    }
  })
}

const REBUILD_PAGE = 200

/**
 * Folds every journey that has events anew, page by page, each page in a transaction of its own, while workers run.
 *
 * @returns how many were folded, and how many had another row than their events tell.
 */
export async function rebuildJourneys(
  db: Db,
  onProgress: (folded: number) => void = () => {},
): Promise<{ folded: number; changed: number }> {
  let folded = 0
  let changed = 0
  for (let page = await nextPage(db); page.length > 0; page = await nextPage(db, page.at(-1))) {
    changed += (await db.transaction((connection) => foldJourneys(connection, page))).length
    folded += page.length
    onProgress(folded)
  }
  return { folded, changed }
}

/** The next journeys by id, found through the index on it: each step skips all events of one journey. */
async function nextPage(db: Db, after?: JourneyName): Promise<JourneyName[]> {
  const { rows } = await db.pool.query<JourneyName>(
    `with recursive page as (
      (select journey_id, 1 as n from events where journey_id > $1 order by journey_id limit 1)
      union all
      select next.journey_id, page.n + 1 from page, lateral
        (select journey_id from events where journey_id > page.journey_id order by journey_id limit 1) as next
      where page.n < $2)
    select distinct environment, page.journey_id as "journeyId"
    from page join events using (journey_id) order by page.journey_id, environment`,
    [after?.journeyId ?? '', REBUILD_PAGE],
  )
  return rows
}
