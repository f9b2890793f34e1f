import { foldGathered, gathered, type Journey, type JourneyEvent } from '../idwise/journey.ts'
import { textArray } from './array.ts'
import { readEvents } from './journey-events.ts'
import {
  type Existence,
  findJourneyRows,
  type JourneyName,
  type JourneyState,
  type LockedJourney,
  lockJourneys,
  makeJourneys,
  nameOf,
  updateJourneys,
} from './journey-rows.ts'
import type { Connection } from './pool.ts'
import { readTold, writeTold } from './told.ts'

/** Applications listen here; see docs/architecture.md. */
export const JOURNEY_CHANNEL = 'sluice_journeys'

/** What is announced about a journey: the columns that changed, all of them for a new journey. */
export type JourneyChange = JourneyName & { readonly changed: readonly (keyof Journey)[] }

/** A journey that a transaction has to do with. */
export type Touched = {
  readonly name: JourneyName
  /** `nameOf` it. */
  readonly key: string
  existence: Existence
  /** What events say that the transaction has inserted. */
  readonly landed: JourneyEvent[]
  /** Something else about its events has changed, so that they must be read. */
  altered: boolean
}

/** Until more is known of its row, one is made where there is none. */
export function touch(name: JourneyName): Touched {
  return { name, key: nameOf(name), existence: 'orphaned', landed: [], altered: false }
}

/** Folds journeys anew from all of their stored events, like `foldTouched`. */
export async function foldJourneys(
  connection: Connection,
  names: readonly JourneyName[],
): Promise<JourneyChange[]> {
  const existences = await findJourneyRows(connection, names)
  return foldTouched(
    connection,
    names.map((name, index) => ({
      ...touch(name),
      existence: existences[index] ?? 'orphaned',
      altered: true,
    })),
  )
}

/**
 * Folds journeys from all of their events and announces those that changed, in the caller's transaction. What has just
 * landed is added to what the row says of the events before. The rows are locked until the transaction ends, so that of
 * two that land events of one journey the later one sees what the earlier one has landed.
 *
 * @param touched distinct
 * @returns the journeys whose row changed
 */
export async function foldTouched(
  connection: Connection,
  touched: readonly Touched[],
): Promise<JourneyChange[]> {
  const sorted = touched.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  // Who makes rows waits for others who make them, and holds no other lock meanwhile.
  const fresh = sorted.filter(({ existence }) => existence !== 'exists').map(freshChange)
  const made = await makeJourneys(connection, fresh)
  const complete = fresh.filter(({ journey }, index) => made[index] && journey.events > 0)
  const isComplete = new Set(complete.map(({ of }) => of))
  const others = sorted.filter((each) => !isComplete.has(each))

  const rows = await lockJourneys(
    connection,
    others.map(({ name }) => name),
  )
  const before = others.map((each, index) =>
    isWhole(each) ? readTold(rows[index] as LockedJourney) : undefined,
  )
  const unknown = others.flatMap(({ name }, index) =>
    before[index] ? [] : [{ ...name, events: rows[index]?.events ?? 0 }],
  )
  const stored = await readEvents(connection, unknown)
  const updated = others
    .map((each, index) => {
      const row = rows[index] as LockedJourney
      const told = before[index]
      const change = changeOf(each, row, told ? [...told, ...each.landed] : (stored.get(each.key) ?? []))
      return { ...change, place: row.place, isNews: (row.told ?? change.told) !== change.told }
    })
    .filter(({ journey, changed, isNews }) => journey.events > 0 && (changed.length > 0 || isNews))
  const changes = [...complete, ...updated].filter(({ changed }) => changed.length > 0)
  await Promise.all([updateJourneys(connection, updated), announce(connection, changes)])
  return changes.map(({ name, changed }) => ({ ...name, changed }))
}

/** Folds the journey of a stored event, where there is one. */
export async function foldJourneyOf(connection: Connection, eventKey: Buffer | null): Promise<void> {
  const { rows } = await connection.query<JourneyName>(
    `select environment, journey_id as "journeyId" from events where event_key = $1 and journey_id is not null`,
    [eventKey],
  )
  await foldJourneys(connection, rows)
}

type Change = JourneyState & { readonly of: Touched; readonly changed: readonly (keyof Journey)[] }

/** Whether the events before are those that its row tells of. */
function isWhole({ altered, existence }: Touched): boolean {
  return !altered && existence !== 'orphaned'
}

function freshChange(touched: Touched): Change {
  return changeOf(touched, undefined, isWhole(touched) ? touched.landed : [])
}

function changeOf(of: Touched, before: Journey | undefined, events: readonly JourneyEvent[]): Change {
  const { name } = of
  if (events.length === 0) return { of, name, journey: STUB, told: null, changed: [] }
  const all = gathered(events)
  const journey = foldGathered(all)
  return { of, name, journey, told: writeTold(all), changed: changedFields(before, journey) }
}

/** The row of a journey whose events are not known yet, so that there is something to lock. */
const STUB: Journey = {
  referenceNo: null,
  stage: 'unknown',
  systemDecision: null,
  manualDecision: null,
  finalDecision: null,
  amlVersion: null,
  resubmission: null,
  renewal: null,
  events: 0,
  firstEventAt: 0,
  lastEventAt: 0,
  needsAttention: null,
}

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
