import { coalesce } from '../journey/coalesce.ts'
import { readDigest, writeDigest } from '../journey/digest.ts'
import type { JourneyEvent } from '../journey/event.ts'
import { foldCoalesced, type Journey } from '../journey/fold.ts'
import { textArray } from './array.ts'
import { readEvents } from './journey-events.ts'
import {
  type JourneyName,
  type JourneyRow,
  type JourneyState,
  lockJourneys,
  makeJourneys,
  nameOf,
  readJourneys,
  updateJourneys,
} from './journey-rows.ts'
import type { Connection } from './pool.ts'

/** Applications listen here; see docs/architecture.md. */
export const JOURNEY_CHANNEL = 'sluice_journeys'

/** What is announced about a journey: the columns that changed, all of them for a new journey. */
export type JourneyChange = JourneyName & { readonly changed: readonly (keyof Journey)[] }

/** A journey that a transaction has to do with. */
export type Touched = {
  readonly name: JourneyName
  /** `nameOf` it. */
  readonly key: string
  /** Its row as `lookUp` has found it; `new`: it had no events; `unknown`: they must be read. */
  before: JourneyRow | 'new' | 'unknown'
  /** What events say that the transaction has inserted. */
  readonly landed: JourneyEvent[]
  /** Something else about its events has changed, so that they must be read. */
  altered: boolean
}

export function touch(name: JourneyName): Touched {
  return { name, key: nameOf(name), before: 'unknown', landed: [], altered: false }
}

/** How a transaction folds. */
export type FoldOptions = {
  /** False: changes are not announced, since nothing can be; listeners find them by `updated_at`. */
  readonly announced?: boolean
  /** Is digest of a journey so many of whose events had to be read. */
  readonly onRead?: (name: JourneyName, events: number) => void
}

/** Notes what the rows of these journeys are now. */
export async function lookUp(connection: Connection, touched: readonly Touched[]): Promise<void> {
  const rows = await readJourneys(
    connection,
    touched.map(({ name }) => name),
  )
  for (const [index, each] of touched.entries()) each.before = rows[index] ?? 'unknown'
}

/** Folds journeys anew from all of their stored events, like `foldTouched`. */
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
 * Folds journeys from all of their events and announces those that changed, in the caller's transaction. What has just
 * landed is added to what the row says of the events before. Of two that land events of one journey at once the later
 * one sees what the earlier one has landed.
 *
 * @param touched distinct, and looked up after their events were inserted
 * @returns the journeys whose row changed
 */
export async function foldTouched(
  connection: Connection,
  touched: readonly Touched[],
  options: FoldOptions = {},
): Promise<JourneyChange[]> {
  if (touched.length === 0) return []
  const sorted = touched.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  const changes =
    (await foldAsRead(connection, sorted, options)) ?? (await foldLocked(connection, sorted, options))
  return changes.map(({ name, changed }) => ({ ...name, changed }))
}

/** @returns undefined, with nothing changed, where a journey's events must be read or its row is another one by now */
async function foldAsRead(
  connection: Connection,
  touched: readonly Touched[],
  { announced }: FoldOptions,
): Promise<Change[] | undefined> {
  const fresh: Change[] = []
  const updated: Update[] = []
  for (const each of touched) {
    const { before } = each
    const digest = toldBefore(each, before)
    if (before === 'unknown' || !digest) return undefined
    if (before === 'new') fresh.push(changeOf(each, undefined, each.landed))
    else updated.push(updateOf(each, before, [...digest, ...each.landed]))
  }
  const changes = [...fresh, ...updated].filter(isChanged)
  // Who makes rows waits for others who make them, and holds no other lock meanwhile.
  const [, made, count] = await Promise.all([
    connection.query('savepoint journeys'),
    makeJourneys(connection, fresh),
    updateJourneys(connection, updated),
    announced === false ? undefined : announce(connection, changes),
  ])
  if (made.every(Boolean) && count === updated.length) return changes
  await connection.query('rollback to journeys')
  return undefined
}

async function foldLocked(
  connection: Connection,
  touched: readonly Touched[],
  { announced, onRead }: FoldOptions,
): Promise<Change[]> {
  const fresh = touched.filter(({ before }) => typeof before === 'string').map(freshChange)
  const made = await makeJourneys(connection, fresh)
  const complete = fresh.filter(({ journey }, index) => made[index] && journey.events > 0)
  const isComplete = new Set(complete.map(({ of }) => of))
  const others = touched.filter((each) => !isComplete.has(each))

  const rows = await lockJourneys(
    connection,
    others.map(({ name }) => name),
  )
  const before = others.map((each, index) => toldBefore(each, rows[index] as JourneyRow))
  const unknown = others.flatMap(({ name }, index) =>
    before[index] ? [] : [{ ...name, events: rows[index]?.events ?? 0 }],
  )
  for (const { events, ...name } of unknown) onRead?.(name, events)
  const stored = await readEvents(connection, unknown)
  const updated = others
    .map((each, index) => {
      const digest = before[index]
      const events = digest ? [...digest, ...each.landed] : (stored.get(each.key) ?? [])
      return updateOf(each, rows[index] as JourneyRow, events)
    })
    .filter((update) => update.journey.events > 0 && (isChanged(update) || update.isNews))
  const changes = [...complete, ...updated].filter(isChanged)
  await Promise.all([
    updateJourneys(connection, updated),
    announced === false ? undefined : announce(connection, changes),
  ])
  return changes
}

/** Folds the journey of a stored event, where there is one. */
export async function foldJourneyOf(
  connection: Connection,
  eventKey: Buffer | null,
  options: FoldOptions = {},
): Promise<void> {
  const { rows } = await connection.query<JourneyName>(
    `select environment, journey_id as "journeyId" from events where event_key = $1 and journey_id is not null`,
    [eventKey],
  )
  await foldJourneys(connection, rows, options)
}

type Change = JourneyState & { readonly of: Touched; readonly changed: readonly (keyof Journey)[] }
type Update = Change & {
  readonly place: string
  readonly version: string
  /** The row tells something else, even where nothing else of it has changed. */
  readonly isNews: boolean
}

const isChanged = ({ changed }: Change) => changed.length > 0

/** What the events before said, by the row; undefined where they must be read. */
function toldBefore({ altered, before }: Touched, row: JourneyRow | 'new' | 'unknown') {
  if (altered || before === 'unknown') return undefined
  return typeof row === 'string' ? [] : readDigest(row)
}

function freshChange(touched: Touched): Change {
  return changeOf(touched, undefined, toldBefore(touched, touched.before) ? touched.landed : [])
}

function updateOf(of: Touched, row: JourneyRow, events: readonly JourneyEvent[]): Update {
  const change = changeOf(of, row, events)
  const { digest, place, version } = row
  return { ...change, place, version, isNews: (digest ?? change.digest) !== change.digest }
}

function changeOf(of: Touched, before: Journey | undefined, events: readonly JourneyEvent[]): Change {
  const { name } = of
  if (events.length === 0) return { of, name, journey: STUB, digest: null, changed: [] }
  const all = coalesce(events)
  const journey = foldCoalesced(all)
  return { of, name, journey, digest: writeDigest(all), changed: changedFields(before, journey) }
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
