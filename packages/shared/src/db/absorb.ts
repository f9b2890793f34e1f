import { coalesce } from '../journey/coalesce.ts'
import type { JourneyEvent } from '../journey/event.ts'
import { textArray } from './array.ts'
import { readBases, readEventsUntil } from './journey-events.ts'
import { columnsOf, type JourneyName, lockJourneys, nameOf } from './journey-rows.ts'
import { foldJourneys } from './journeys.ts'
import { type Partition, quoted } from './partitions.ts'
import type { Connection, Db } from './pool.ts'

/** Others wait for the rows of journeys that one transaction absorbs: so it takes few, or few with many events. */
const JOURNEYS = 100
const EVENTS = 2_000
const IDS = 5_000

/**
 * Writes into the rows of journeys what their events of a partition and before say, so that the partition may go. It
 * may be interrupted, and run again. Events land meanwhile, but none in a partition that ended long ago.
 *
 * @returns how many journeys were written
 */
export async function absorbPartition(
  db: Db,
  { name, until }: Partition,
  stop: AbortSignal,
): Promise<number> {
  let absorbed = 0
  for await (const names of journeysIn(db.pool, name, until)) {
    stop.throwIfAborted()
    absorbed += names.length
    await db.landingTransaction((connection) => absorb(connection, names, until))
  }
  return absorbed
}

async function absorb(connection: Connection, listed: readonly JourneyName[], until: Date): Promise<void> {
  const without = await makeMissing(connection, listed)
  const names = listed.filter((name) => !without.has(nameOf(name)))
  // Locked in the order of landing.
  await lockJourneys(connection, names)
  const [bases, events] = await Promise.all([
    readBases(connection, names),
    readEventsUntil(connection, names, until),
  ])
  const byName = Map.groupBy<string, JourneyEvent & JourneyName>([...bases, ...events], nameOf)
  const withEvents = names.filter((name) => byName.has(nameOf(name)))
  await connection.query({
    name: 'absorb_events',
    text: `update journeys j set base = t.base::jsonb, base_until = $4
      from unnest($1::text[], $2::text[], $3::text[]) as t(environment, journey_id, base)
      where j.environment = t.environment and j.journey_id = t.journey_id
        and coalesce(j.base_until < $4, true)`,
    values: [
      ...columnsOf(withEvents),
      textArray(withEvents.map((name) => JSON.stringify(baseOf(byName.get(nameOf(name)) ?? [])))),
      until,
    ],
  })
}

function baseOf(events: readonly (JourneyEvent & JourneyName)[]): JourneyEvent[] {
  return coalesce(events.map(({ environment: _, journeyId: __, ...event }) => event))
}

/**
 * Makes the rows of journeys that somebody has deleted.
 *
 * @returns the journeys whose events are gone as well by now: they have no row
 */
async function makeMissing(connection: Connection, names: readonly JourneyName[]): Promise<Set<string>> {
  const { rows: missing } = await connection.query<JourneyName>({
    name: 'missing_journeys',
    text: `select environment, journey_id as "journeyId" from ${NAMES} where not exists (select ${OF_NAME})`,
    values: columnsOf(names),
  })
  if (missing.length === 0) return new Set()
  await foldJourneys(connection, missing, { everyTime: true })
  const { rows: empty } = await connection.query<JourneyName>(
    `with quietly as materialized (select set_config('sluice.erasing', 'on', true))
    delete from journeys j using quietly, ${NAMES}
      where j.environment = wanted.environment and j.journey_id = wanted.journey_id and j.events = 0
      returning j.environment, j.journey_id as "journeyId"`,
    columnsOf(missing),
  )
  return new Set(empty.map(nameOf))
}

const NAMES = 'unnest($1::text[], $2::text[]) as wanted(environment, journey_id)'
const OF_NAME =
  'from journeys j where j.environment = wanted.environment and j.journey_id = wanted.journey_id'

/** The journeys of a partition that are not absorbed until a time, by the index on the events' journeys. */
async function* journeysIn(
  connection: Connection,
  partition: string,
  until: Date,
): AsyncGenerator<JourneyName[]> {
  for (let after = ''; ; ) {
    const { rows: ids } = await connection.query<{ id: string }>(
      `select distinct journey_id as id from (select journey_id from ${quoted(partition)} where journey_id > $1
        order by journey_id limit ${IDS}) as page order by 1`,
      [after],
    )
    if (ids.length === 0) return
    const { rows } = await connection.query<JourneyName & { events: number }>(
      `select e.environment, e.journey_id as "journeyId", count(*)::int as events from unnest($1::text[]) as page(id)
        join ${quoted(partition)} e on e.journey_id = page.id
        where not exists (select from journeys j where j.environment = e.environment
          and j.journey_id = e.journey_id and j.base_until >= $2)
        group by 1, 2`,
      [ids.map(({ id }) => id), until],
    )
    const sorted = rows.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    yield* groupsOf(sorted)
    after = ids.at(-1)?.id as string
  }
}

function* groupsOf(
  journeys: readonly (JourneyName & { readonly events: number })[],
): Generator<JourneyName[]> {
  let group: JourneyName[] = []
  let total = 0
  for (const { events, ...name } of journeys) {
    if (group.length === JOURNEYS || (group.length > 0 && total + events > EVENTS)) {
      yield group
      group = []
      total = 0
    }
    group.push(name)
    total += events
  }
  if (group.length > 0) yield group
}
