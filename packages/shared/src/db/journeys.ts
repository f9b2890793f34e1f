import { coalesce } from '../journey/coalesce.ts'
import { readDigest, writeDigest } from '../journey/digest.ts'
import type { JourneyEvent } from '../journey/event.ts'
import { foldCoalesced, type Journey } from '../journey/fold.ts'
import { byteaArray, textArray, uuidArray } from './array.ts'
import { OF_KEY } from './event-keys.ts'
import { readEvents } from './journey-events.ts'
import {
  findJourneyRows,
  type JourneyName,
  type JourneyPresence,
  type JourneyRow,
  type JourneyState,
  keepFormerReferences,
  lockJourneys,
  makeJourneys,
  nameOf,
  updateJourneys,
} from './journey-rows.ts'
import type { Connection } from './pool.ts'

/** Applications listen here; see docs/architecture.md. */
const JOURNEY_CHANNEL = 'sluice_journeys'

/** What is announced about a journey: the columns that changed, all of them for a new journey. */
export type JourneyChange = JourneyName & { readonly changed: readonly (keyof Journey)[] }

/** A journey whose events a transaction inserts or changes. */
export type Touched = {
  readonly name: JourneyName
  /** The journey's `nameOf`. */
  readonly key: string
  /** What `lookUp` found; `unknown` before that. */
  row: JourneyPresence
  /** The events that the transaction has inserted. */
  readonly landed: JourneyEvent[]
  /** The transaction has changed something else about its events, so that all of them must be read. */
  altered: boolean
}

function touch(name: JourneyName): Touched {
  return { name, key: nameOf(name), row: 'unknown', landed: [], altered: false }
}

type OfJourney = {
  readonly environment: string
  readonly event: { readonly journeyId: string | null }
}

/** The journeys of rows, each once. */
export function journeysOf(rows: readonly OfJourney[]): Map<string, Touched> {
  const journeys = new Map<string, Touched>()
  for (const row of rows) journeyIn(journeys, row)
  return journeys
}

/** The journey of a row, added to the others if it is missing; undefined if the row has none. */
export function journeyIn(
  journeys: Map<string, Touched>,
  { environment, event }: OfJourney,
): Touched | undefined {
  const { journeyId } = event
  if (journeyId === null) return undefined
  const name = { environment, journeyId }
  const known = journeys.get(nameOf(name))
  if (known) return known
  const journey = touch(name)
  journeys.set(journey.key, journey)
  return journey
}

export type FoldOptions = {
  /** False if nothing can be announced; then listeners find the changes by `updated_at`. */
  readonly announced?: boolean
  /** Called for each journey whose events had to be read, with their number. */
  readonly onRead?: (name: JourneyName, events: number) => void
  /** Looks for events of every time, also before the first one that the journey's row knows. */
  readonly everyTime?: boolean
}

/** Finds out which of these journeys have a row. */
export async function lookUp(connection: Connection, touched: readonly Touched[]): Promise<void> {
  const names = touched.map(({ name }) => name)
  const found = await findJourneyRows(connection, names)
  for (const [index, each] of touched.entries()) each.row = found[index] ?? 'unknown'
}

/** Like `foldTouched`, but from all stored events of the journeys. */
export async function foldJourneys(
  connection: Connection,
  names: readonly JourneyName[],
  options: FoldOptions = {},
): Promise<JourneyChange[]> {
  const touched = names.map((name) => ({ ...touch(name), altered: true }))
  await lookUp(connection, touched)
  return foldTouched(connection, touched, options)
}

/**
 * Folds journeys and announces those that changed, in the caller's transaction. The events that have just landed are
 * added to those in the row's digest. If two transactions land events of one journey at once, the later one sees the
 * events of the earlier one.
 *
 * @param touched distinct journeys, looked up after their events were inserted
 * @returns the journeys whose row changed
 */
export async function foldTouched(
  connection: Connection,
  touched: readonly Touched[],
  { announced, onRead, everyTime = false }: FoldOptions = {},
): Promise<JourneyChange[]> {
  const sorted = touched.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  const fresh = sorted.filter(({ row }) => row !== 'known').map(freshChange)
  // New rows first: their insert may wait for another transaction's, and must not hold locks on rows while it does.
  const made = await makeJourneys(connection, fresh)
  const complete = fresh.filter(({ journey }, index) => made[index] && journey.events > 0)
  const isComplete = new Set(complete.map(({ of }) => of))
  const others = sorted.filter((each) => !isComplete.has(each))

  const rows = await lockJourneys(
    connection,
    others.map(({ name }) => name),
  )
  const before = others.map((each, index) =>
    mustBeRead(each) ? undefined : readDigest(rows[index] as JourneyRow),
  )
  const unknown = others.flatMap(({ name }, index) =>
    before[index] ? [] : [{ ...name, events: rows[index]?.events ?? 0 }],
  )
  for (const { events, ...name } of unknown) onRead?.(name, events)
  const stored = await readEvents(connection, unknown, !everyTime)
  const folded = others
    .map((each, index) => {
      const known = before[index]
      const events = known ? [...known, ...each.landed] : (stored.get(each.key) ?? [])
      return updateOf(each, rows[index] as JourneyRow, events)
    })
    .filter(({ journey }) => journey.events > 0)
  const updated = folded.filter((update) => isChanged(update) || update.isNewDigest)
  const changes = [...complete, ...updated].filter(isChanged)
  await Promise.all([
    updateJourneys(connection, updated),
    keepFormerReferences(
      connection,
      [...complete, ...folded].flatMap(({ name, former }) =>
        former.map((referenceNo) => ({ ...name, referenceNo })),
      ),
    ),
    announced === false ? undefined : announce(connection, changes),
  ])
  return changes.map(({ name, changed }) => ({ ...name, changed }))
}

/** Folds the journey of an event, if it has one. */
export async function foldJourneyOf(
  connection: Connection,
  eventKey: Buffer | null,
  options: FoldOptions = {},
): Promise<void> {
  if (eventKey !== null) await foldJourneys(connection, await journeysOfKeys(connection, [eventKey]), options)
}

/** The journeys of events, each once. That of an event that is gone is known from its conflicts. */
export async function journeysOfKeys(
  connection: Connection,
  eventKeys: readonly Buffer[],
): Promise<JourneyName[]> {
  const { rows } = await connection.query<JourneyName>(
    `select e.environment, e.journey_id as "journeyId" from unnest($1::uuid[], $2::bytea[]) as wanted(key, event_key)
      join event_keys k on k.key = wanted.key cross join lateral (select * from events e
        where ${OF_KEY} and e.event_key = wanted.event_key and e.journey_id is not null offset 0) as e
    union select j.environment, j.journey_id from dead_letters d join journeys j using (environment, journey_id)
      where d.event_key = any($2::bytea[]) and d.reason = 'conflict' and j.base is not null`,
    [uuidArray(eventKeys), byteaArray(eventKeys)],
  )
  return rows
}

type Change = JourneyState & {
  readonly of: Touched
  readonly changed: readonly (keyof Journey)[]
  /** The reference numbers of its events that have not won. */
  readonly former: readonly string[]
}
type Update = Change & {
  readonly place: string
  /** The row must be written even if nothing but its digest has changed. */
  readonly isNewDigest: boolean
}

const isChanged = ({ changed }: Change) => changed.length > 0

/** The digest lacks events before those that have landed, or there may be no row with a digest. */
function mustBeRead({ altered, row }: Touched): boolean {
  return altered || row === 'unknown'
}

function freshChange(touched: Touched): Change {
  return changeOf(touched, undefined, mustBeRead(touched) ? [] : touched.landed)
}

function updateOf(of: Touched, row: JourneyRow, events: readonly JourneyEvent[]): Update {
  const change = changeOf(of, row, events)
  const { digest, place } = row
  return { ...change, place, isNewDigest: (digest ?? change.digest) !== change.digest }
}

function changeOf(of: Touched, before: Journey | undefined, events: readonly JourneyEvent[]): Change {
  const { name } = of
  if (events.length === 0) return { of, name, journey: STUB, digest: null, changed: [], former: [] }
  const all = coalesce(events)
  const journey = foldCoalesced(all)
  const changed = changedFields(before, journey)
  return { of, name, journey, digest: writeDigest(all), changed, former: formerIn(all, journey) }
}

function formerIn(events: readonly JourneyEvent[], { referenceNo }: Journey): string[] {
  const others = events.flatMap((event) =>
    event.referenceNo === null || event.referenceNo === referenceNo ? [] : [event.referenceNo],
  )
  return others.length > 0 ? [...new Set(others)] : others
}

/** The row of a journey whose events are not known yet, so that there is a row to lock. */
const STUB: Journey = { ...foldCoalesced([]), firstEventAt: 0, lastEventAt: 0 }

function changedFields(before: Journey | undefined, after: Journey): (keyof Journey)[] {
  const fields = Object.keys(after) as (keyof Journey)[]
  return before && before.events > 0 ? fields.filter((field) => before[field] !== after[field]) : fields
}

async function announce(connection: Connection, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  await connection.query({
    name: 'announce_journeys',
    text: `select pg_notify('${JOURNEY_CHANNEL}', message) from unnest($1::text[]) as t(message)`,
    values: [textArray(changes.map(({ name, changed }) => JSON.stringify({ ...name, changed })))],
  })
}
