import { asc, desc, eq, getTableColumns, or } from 'drizzle-orm'
import { storedId } from '../idwise/event.ts'
import type { JourneyEvent } from '../journey/event.ts'
import { transactionAnnounced } from './announce.ts'
import { JOURNEY_EVENT, readEarlierEvents } from './journey-events.ts'
import type { JourneyName } from './journey-rows.ts'
import { foldJourneys } from './journeys.ts'
import type { Db } from './pool.ts'
import { journeys } from './schema.ts'

const { digest: _, ...SHOWN } = getTableColumns(journeys)

export type StoredJourney = Omit<typeof journeys.$inferSelect, 'digest'>

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

/** The journeys with this id or reference number, the last active one first, at most 100, and how many there are. */
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
  /** The newest events of the journey and spot checks of its reference, at most 1,000 of each, in order of receipt. */
  readonly events: JourneyStoryEvent[]
  /** The journey's events before these, coalesced. */
  readonly earlier: JourneyEvent[]
  /** How many events and spot checks there are. */
  readonly total: number
}

const OF_JOURNEY = 'e.environment = $1 and e.journey_id = $2'
const SPOT_CHECKS =
  "e.environment = $1 and e.journey_id is null and e.kind = 'finished_spot_check' and e.reference_no = $2"

export async function readJourneyStory(db: Db, journey: StoredJourney): Promise<JourneyStory> {
  const { environment, journeyId, referenceNo } = journey
  const own = await newestEvents(db, OF_JOURNEY, [environment, journeyId])
  const earlier =
    own.total > own.events.length
      ? await readEarlierEvents(db.pool, { environment, journeyId }, EVENTS_SHOWN)
      : []
  const spotChecks =
    referenceNo === null
      ? { events: [], total: 0 }
      : await newestEvents(db, SPOT_CHECKS, [environment, referenceNo])
  return {
    events: [...own.events, ...spotChecks.events].sort((a, b) => a.lastAt - b.lastAt),
    earlier,
    total: own.total + spotChecks.total,
  }
}

/** @param which SQL about a row `e` of `events` */
async function newestEvents(
  { pool }: Db,
  which: string,
  values: readonly string[],
): Promise<{ events: JourneyStoryEvent[]; total: number }> {
  const { rows } = await pool.query<JourneyStoryEvent>(
    `select ${JOURNEY_EVENT}, encode(e.event_key, 'hex') as "eventKey", e.event_id as "eventId", e.duplicates, e.via,
      e.journey_id is null as "attachedByReference"
    from events e where ${which} order by e.received_at desc, e.event_key desc limit ${EVENTS_SHOWN}`,
    [...values],
  )
  const events = rows.reverse()
  if (events.length < EVENTS_SHOWN) return { events, total: events.length }
  const counted = await pool.query(`select count(*)::int as total from events e where ${which}`, [...values])
  return { events, total: counted.rows[0]?.total }
}

const REBUILD_PAGE = 200

/**
 * Folds all journeys anew from their stored events, while workers run. Each page of journeys has its own transaction.
 *
 * @returns how many journeys were folded, and how many of their rows have changed
 */
export async function rebuildJourneys(
  db: Db,
  onProgress: (folded: number) => void = () => {},
): Promise<{ folded: number; changed: number }> {
  let folded = 0
  let changed = 0
  for (let page = await nextPage(db); page.length > 0; page = await nextPage(db, page.at(-1))) {
    const names = page
    const changes = await transactionAnnounced(db, (connection, options) =>
      foldJourneys(connection, names, options),
    )
    changed += changes.length
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
