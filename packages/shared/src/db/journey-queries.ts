import { and, asc, desc, eq, getTableColumns, isNull, or, type SQL, sql } from 'drizzle-orm'
import { type EventDetails, type EventKind, storedId } from '../idwise/event.ts'
import type { JourneyEvent } from '../journey/fold.ts'
import { transactionAnnounced } from './announce.ts'
import { finalWithoutManual, readEarlierEvents } from './journey-events.ts'
import type { JourneyName } from './journey-rows.ts'
import { foldJourneys } from './journeys.ts'
import type { Db } from './pool.ts'
import { deadLetters, events, journeys } from './schema.ts'

type EventOfStory = { event: typeof events.$inferSelect; conflict: boolean; finalWithoutManual: boolean }

const { told: _, ...SHOWN } = getTableColumns(journeys)

export type StoredJourney = Omit<typeof journeys.$inferSelect, 'told'>

/** An event of a journey as the timeline shows it. */
export type JourneyStoryEvent = JourneyEvent & {
  readonly eventKey: string
  readonly eventId: string | null
  readonly duplicates: number
  readonly via: string
  /** A spot check carries no journey id; it is shown with the journeys of its reference. */
  readonly attachedByReference: boolean
}

const JOURNEYS_SHOWN = 100
const EVENTS_SHOWN = 1_000

/** The journeys with this id or reference number, the last one active first, at most 100, and how many there are. */
export async function findJourneys(
  db: Db,
  name: string,
): Promise<{ journeys: StoredJourney[]; total: number }> {
  const id = storedId(name)
  const isNamed = or(eq(journeys.journeyId, id), eq(journeys.referenceNo, id))
  const found = await db.query
    .select(SHOWN)
    .from(journeys)
    .where(isNamed)
    .orderBy(desc(journeys.lastEventAt), asc(journeys.environment), asc(journeys.journeyId))
    .limit(JOURNEYS_SHOWN)
  const total = found.length < JOURNEYS_SHOWN ? found.length : await db.query.$count(journeys, isNamed)
  return { journeys: found, total }
}

export type JourneyStory = {
  /** The newest events of the journey and spot checks of its reference, at most 1,000 of each, in order of arrival. */
  readonly events: JourneyStoryEvent[]
  /** What the journey's events before these say; the same together as one. */
  readonly earlier: JourneyEvent[]
  /** How many events and spot checks there are. */
  readonly total: number
}

export async function readJourneyStory(db: Db, journey: StoredJourney): Promise<JourneyStory> {
  const { environment, journeyId, referenceNo } = journey
  const inEnvironment = eq(events.environment, environment)
  const ofJourney = and(inEnvironment, eq(events.journeyId, journeyId))
  const own = await newestEvents(db, ofJourney)
  const earlier =
    own.total > own.events.length
      ? await readEarlierEvents(db.pool, { environment, journeyId }, EVENTS_SHOWN)
      : []
  const spotChecks =
    referenceNo === null
      ? { events: [], total: 0 }
      : await newestEvents(
          db,
          and(
            inEnvironment,
            isNull(events.journeyId),
            eq(events.kind, 'finished_spot_check'),
            eq(events.referenceNo, referenceNo),
          ),
        )
  return {
    events: [...own.events, ...spotChecks.events].sort((a, b) => a.lastAt - b.lastAt),
    earlier,
    total: own.total + spotChecks.total,
  }
}

async function newestEvents(
  db: Db,
  which: SQL | undefined,
): Promise<{ events: JourneyStoryEvent[]; total: number }> {
  const conflict = sql<boolean>`exists (select from ${deadLetters} d where d.event_key = ${events.eventKey}
    and d.reason = 'conflict' and d.state in ('open', 'replaying'))`
  const newest = await db.query
    .select({
      event: events,
      conflict,
      finalWithoutManual: sql<boolean>`${sql.raw(finalWithoutManual('events'))}`,
    })
    .from(events)
    .where(which)
    .orderBy(desc(events.receivedAt), desc(events.eventKey))
    .limit(EVENTS_SHOWN)
  const total = newest.length < EVENTS_SHOWN ? newest.length : await db.query.$count(events, which)
  return { events: newest.reverse().map(told), total }
}

function told({ event, conflict, finalWithoutManual }: EventOfStory): JourneyStoryEvent {
  const details = (event.details ?? {}) as EventDetails
  return {
    kind: event.kind as EventKind,
    event: event.event,
    referenceNo: event.referenceNo,
    systemDecision: event.systemDecision,
    manualDecision: event.manualDecision,
    finalDecision: event.finalDecision,
    finalWithoutManual,
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
    changed += (
      await transactionAnnounced(db, (connection, options) => foldJourneys(connection, page, options))
    ).length
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
