import { asc, desc, getTableColumns, sql } from 'drizzle-orm'
import { storedId } from '../idwise/event.ts'
import type { JourneyEvent } from '../journey/event.ts'
import { transactionAnnounced } from './announce.ts'
import { createErasedSubjects, shareFence } from './erased.ts'
import { JOURNEY_EVENT, readBases, readEarlierEvents } from './journey-events.ts'
import type { JourneyName } from './journey-rows.ts'
import { foldJourneys } from './journeys.ts'
import type { Db } from './pool.ts'
import { formerReferences, journeys } from './schema.ts'

const { digest: _, base: __, ...shown } = getTableColumns(journeys)
/** The columns that people see. */
export const JOURNEY_SHOWN = shown

export type StoredJourney = Omit<typeof journeys.$inferSelect, 'digest' | 'base'>

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

/**
 * The journeys with this id, or that have or had this reference number, the last active one first.
 *
 * @returns at most 100, and how many there are
 */
export async function findJourneys(
  db: Db,
  name: string,
): Promise<{ journeys: StoredJourney[]; total: number }> {
  const id = storedId(name)
  const isNamed = sql`(${journeys.environment}, ${journeys.journeyId}) in (
    select environment, journey_id from ${journeys} where journey_id = ${id}
    union select environment, journey_id from ${journeys} where reference_no = ${id}
    union select environment, journey_id from ${formerReferences} where reference_no = ${id})`
  const found = await db.query
    .select(JOURNEY_SHOWN)
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
  /** How many events and spot checks there are or were. */
  readonly total: number
  /** How many of them are not stored any more, because they landed before a bound of retention. */
  readonly dropped: number
}

const OF_JOURNEY = 'e.environment = $1 and e.journey_id = $2 and e.processed_at >= $3'
const SPOT_CHECKS =
  "e.environment = $1 and e.journey_id is null and e.kind = 'finished_spot_check' and e.reference_no = $2"
/** An event lands after it was received. Postgres' clock may have been wrong by as much. */
const SLACK_MS = 60_000

export async function readJourneyStory(db: Db, journey: StoredJourney): Promise<JourneyStory> {
  const { environment, journeyId, referenceNo, baseUntil, firstEventAt } = journey
  const since = baseUntil ?? new Date(firstEventAt.getTime() - SLACK_MS)
  const base = baseUntil ? await readBases(db.pool, [journey]) : []
  const own = await newestEvents(db, OF_JOURNEY, [environment, journeyId, since])
  const earlier =
    own.total > own.events.length
      ? await readEarlierEvents(db.pool, { environment, journeyId }, { skip: EVENTS_SHOWN, since })
      : []
  const spotChecks =
    referenceNo === null
      ? { events: [], total: 0 }
      : await newestEvents(db, SPOT_CHECKS, [environment, referenceNo])
  const dropped = base.reduce((sum, { count }) => sum + count, 0)
  return {
    events: [...own.events, ...spotChecks.events].sort((a, b) => a.lastAt - b.lastAt),
    earlier: [...base, ...earlier],
    total: dropped + own.total + spotChecks.total,
    dropped,
  }
}

/** @param which SQL about a row `e` of `events` */
async function newestEvents(
  { pool }: Db,
  which: string,
  values: readonly (string | Date)[],
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
const INDEX_PAGE = 5_000

/**
 * Folds all journeys anew from their events, while workers run. Each page of journeys has its own transaction.
 *
 * @returns how many journeys were folded, and how many of their rows have changed
 */
export async function rebuildJourneys(
  db: Db,
  onProgress: (folded: number) => void = () => {},
): Promise<{ folded: number; changed: number }> {
  let folded = 0
  let changed = 0
  // A fold would make a row of a journey that was erased since its name was read.
  const subjects = createErasedSubjects()
  async function rebuild(names: readonly JourneyName[]): Promise<void> {
    const changes = await transactionAnnounced(db, async (connection, options) => {
      const erased = await subjects.asOf(connection, await shareFence(connection))
      const stored = names.filter(
        ({ environment, journeyId }) =>
          erased.of(environment, { journeyId, referenceNo: null, details: null }) === undefined,
      )
      return foldJourneys(connection, stored, { ...options, everyTime: true })
    })
    changed += changes.length
    folded += names.length
    onProgress(folded)
  }
  for await (const names of storedRows(db)) await rebuild(names)
  for await (const names of withoutRow(db)) await rebuild(names)
  return { folded, changed }
}

async function* storedRows({ pool }: Db): AsyncGenerator<JourneyName[]> {
  let after: JourneyName = { environment: '', journeyId: '' }
  for (;;) {
    const { rows } = await pool.query<JourneyName>(
      `select environment, journey_id as "journeyId" from journeys where (environment, journey_id) > ($1, $2)
        order by environment, journey_id limit $3`,
      [after.environment, after.journeyId, REBUILD_PAGE],
    )
    if (rows.length === 0) return
    yield rows
    after = rows.at(-1) as JourneyName
  }
}

/** The journeys of events whose row is missing, found by the index on the events' journeys. */
async function* withoutRow({ pool }: Db): AsyncGenerator<JourneyName[]> {
  let after = ''
  for (;;) {
    const { rows: ids } = await pool.query<{ id: string }>(
      `select distinct journey_id as id from (
        select journey_id from events where journey_id > $1 order by journey_id limit $2) as page order by 1`,
      [after, INDEX_PAGE],
    )
    if (ids.length === 0) return
    const { rows } = await pool.query<JourneyName>(
      `select distinct e.environment, e.journey_id as "journeyId" from unnest($1::text[]) as page(id)
        join events e on e.journey_id = page.id
        where not exists (select from journeys j where j.environment = e.environment and j.journey_id = e.journey_id)`,
      [ids.map(({ id }) => id)],
    )
    for (let n = 0; n < rows.length; n += REBUILD_PAGE) yield rows.slice(n, n + REBUILD_PAGE)
    after = ids.at(-1)?.id as string
  }
}
