import { writeEnvelope } from '../envelope.ts'
import { decodeBody, isGzip } from '../idwise/decode.ts'
import { ANONYMOUS_WINDOW_MS, anonymousEventKey } from '../idwise/identity.ts'
import { toJourneyEvent } from '../journey/event.ts'
import { failpoint } from '../runtime/failpoint.ts'
import { resolveReplayed, writeDeadLetters } from './dead-letters.ts'
import type { Erased } from './erased.ts'
import { type BodyAs, bodySha256, bytesOf, type EventRow, type Job, readJob } from './event-row.ts'
import {
  countDuplicates,
  forgetKeys,
  insertEvents,
  type LockedEvent,
  lockEvents,
  newestAnonymous,
  readCompressed,
} from './events.ts'
import { classifyFailure } from './failure.ts'
import { nameOf } from './journey-rows.ts'
import { type FoldOptions, foldTouched, lookUp, type Touched, touch } from './journeys.ts'
import { keepOut } from './keep-out.ts'
import type { Connection } from './pool.ts'

export type LandingOutcome = 'landed' | 'duplicate' | 'late_duplicate' | 'conflict' | 'erased'

export type LandOptions = FoldOptions & {
  /**
   * A last try for a document that jsonb refuses: as JavaScript writes it, and if jsonb refuses that too, with an empty
   * `body` column.
   */
  readonly withoutBody?: boolean
  /** Postgres' clock, ms since 1970. A time of receipt that is later comes from a wrong clock. */
  readonly now?: number
  /** Of what nothing may be stored. */
  readonly erased?: Erased
}

/**
 * Lands jobs in the caller's transaction: each event once, by its key.
 *
 * Every transaction locks in this order, or concurrent batches would deadlock: bodies without event id, inserted rows
 * by key, rows that exist already by key, journeys by name.
 *
 * @returns for each job, in order: `landed` made the row; `duplicate` found it with the same bytes; `late_duplicate`
 * found that a row with these bytes has been dropped; `conflict` found other bytes, and is a dead letter now;
 * `erased` is of a journey or reference number of which nothing may be stored, and only has its key.
 * @throws what `pg` throws; the first failure loses the transaction
 */
export async function landJobs(
  connection: Connection,
  jobs: readonly Job[],
  options: LandOptions = {},
): Promise<LandingOutcome[]> {
  if (jobs.length > 0) failpoint('worker-before-transaction')
  // Whole milliseconds, as in the events that a journey reads.
  const now = Math.floor(options.now ?? Number.POSITIVE_INFINITY)
  const land = (bodyAs: BodyAs) => {
    const rows = jobs.map((job) => readJob(job, bodyAs, now))
    const { erased } = options
    return erased && erased.size > 0
      ? landUnlessErased(connection, rows, { ...options, erased })
      : landEventRows(connection, rows, options)
  }
  if (!options.withoutBody) return land('sent')
  await connection.query('savepoint rewritten')
  try {
    return await land('rewritten')
  } catch (error) {
    // Only this failure is about the document.
    if (classifyFailure(error) !== 'event') throw error
    await connection.query('rollback to savepoint rewritten')
    return land('none')
  }
}

async function landUnlessErased(
  connection: Connection,
  rows: readonly EventRow[],
  { erased, ...options }: FoldOptions & { readonly erased: Erased },
): Promise<LandingOutcome[]> {
  const out = new Map<EventRow, number>()
  for (const row of rows) {
    const erasure = erased.of(row.environment, row.event)
    if (erasure === undefined) continue
    if (row.event.eventId === null) {
      row.eventKey = anonymousEventKey(row.environment, bodySha256(row), row.job.envelope.at)
    }
    out.set(row, erasure)
  }
  if (out.size === 0) return landEventRows(connection, rows, options)
  await keepOut(
    connection,
    [...out].map(([{ eventKey }, erasure]) => ({ eventKey, erasure })),
  )
  erased.stillComes(out.values())
  const others = rows.filter((row) => !out.has(row))
  const landed = others.length > 0 ? await landEventRows(connection, others, options) : []
  const outcomes = new Map(others.map((row, index) => [row, landed[index] as LandingOutcome]))
  return rows.map((row) => outcomes.get(row) ?? 'erased')
}

async function landEventRows(
  connection: Connection,
  rows: readonly EventRow[],
  options: FoldOptions,
): Promise<LandingOutcome[]> {
  await keyAnonymous(connection, rows)

  const byKey = Map.groupBy(rows, (row) => row.eventKey.toString('latin1'))
  const first = [...byKey.values()].map((group) => group[0] as EventRow).sort(byEventKey)
  const journeys = journeysOf(rows)
  const [known] = await Promise.all([
    insertEvents(connection, first),
    lookUp(connection, [...journeys.values()]),
  ])

  if (rows.length > 0) failpoint('worker-in-transaction')
  const outcomes = new Map<EventRow, LandingOutcome>()
  const others = rows.filter((row) => {
    const key = row.eventKey.toString('latin1')
    const landed = !known.has(key) && byKey.get(key)?.[0] === row
    if (!landed) return true
    outcomes.set(row, 'landed')
    journeyIn(journeys, row)?.landed.push(toJourneyEvent(row))
    return false
  })
  const gone =
    others.length > 0 ? await settleOthers(connection, others, { outcomes, journeys, options }) : []
  await resolveReplayed(
    connection,
    rows.filter((row) => outcomes.get(row) !== 'conflict').flatMap((row) => row.job.replayOf ?? []),
  )
  const touched = [...journeys.values()].filter(({ landed, altered }) => altered || landed.length > 0)
  await foldTouched(connection, touched, options)
  if (gone.length > 0) {
    const again = await landEventRows(connection, gone, options)
    for (const [index, row] of gone.entries()) outcomes.set(row, again[index] as LandingOutcome)
  }
  return rows.map((row) => outcomes.get(row) as LandingOutcome)
}

/**
 * Gives each event without id the key of the newest stored event with the same bytes within the window, or a new key.
 * An advisory lock for each body keeps concurrent workers apart, since there is no row to lock yet.
 */
async function keyAnonymous(connection: Connection, rows: readonly EventRow[]): Promise<void> {
  const anonymous = rows.filter((row) => row.event.eventId === null)
  if (anonymous.length === 0) return
  const groups = Map.groupBy(anonymous, (row) => `${row.environment} ${bodySha256(row).toString('hex')}`)
  const known = await newestAnonymous(
    connection,
    [...groups.values()].map((group) => group[0] as EventRow),
  )
  for (const [name, group] of groups) {
    const firsts = known.get(name) ?? []
    for (const row of group.sort((a, b) => a.at - b.at)) {
      const { at, job } = row
      const same = firsts.find((first) => Math.abs(at - first.receivedAt) <= ANONYMOUS_WINDOW_MS)
      // By the ingest's clock, right or wrong: so a second run of the job finds its own row, whenever it comes.
      row.eventKey = same?.eventKey ?? anonymousEventKey(row.environment, bodySha256(row), job.envelope.at)
      if (!same) firsts.push({ eventKey: row.eventKey, receivedAt: at })
    }
  }
}

/**
 * Separates duplicates from conflicts among the rows whose event was stored already.
 *
 * @returns the rows whose event somebody has deleted by hand: their keys are forgotten, so that they can land anew
 */
async function settleOthers(
  connection: Connection,
  others: readonly EventRow[],
  {
    outcomes,
    journeys,
    options,
  }: { outcomes: Map<EventRow, LandingOutcome>; journeys: Map<string, Touched>; options: FoldOptions },
): Promise<EventRow[]> {
  const known = await lockEvents(connection, others.map((row) => row.eventKey).sort(Buffer.compare))
  const keyed = others.map((row) => ({ row, there: known.get(row.eventKey.toString('latin1')) }))
  const gone = keyed.filter(({ there }) => !there || isGone(there)).map(({ row }) => row)
  await forgetKeys(
    connection,
    gone.map((row) => row.eventKey),
  )
  // Whoever sends it, and whatever it says now.
  for (const { row, there } of keyed) if (there?.n === null) outcomes.set(row, 'erased')
  const found = keyed.filter(
    (entry): entry is Found => entry.there !== undefined && entry.there.n !== null && !isGone(entry.there),
  )

  const isSame = await compareBodies(connection, found)
  const duplicates = new Map<string, Further>()
  const conflicts: EventRow[] = []
  for (const entry of found) {
    const { row, there } = entry
    const { stored } = there
    const isConflict = !isSame(entry)
    outcomes.set(row, isConflict ? 'conflict' : stored ? 'duplicate' : 'late_duplicate')
    if (isConflict) conflicts.push(row)
    if (!stored) continue
    if (isConflict || row.at < stored.receivedAt) {
      const journey = journeyIn(journeys, { environment: stored.environment, event: stored })
      if (journey) journey.altered = true
    }
    if (!isConflict) addFurther(duplicates, entry)
  }
  await countDuplicates(connection, [...duplicates.values()])
  await writeDeadLetters(
    connection,
    conflicts.map((row) => ({
      jobId: row.job.jobId,
      reason: 'conflict' as const,
      error: CONFLICT,
      attempts: 1,
      envelope: writeEnvelope(row.job.envelope),
    })),
    options,
  )
  return gone
}

type Found = { readonly row: EventRow; readonly there: LockedEvent }
type Further = Parameters<typeof countDuplicates>[1][number]

/** Its partition is there, its content was not erased, and yet there is no row. */
const isGone = ({ stored, isDropped, n }: LockedEvent) => stored === null && !isDropped && n !== null

/**
 * The same delivery id comes from a job that ran twice (its worker died, or its add was repeated), not from a
 * redelivery. A replay is no redelivery either.
 */
function addFurther(duplicates: Map<string, Further>, { row, there }: Found): void {
  const { eventKey, at, job } = row
  const count = (there.stored?.deliveryId === job.envelope.deliveryId ? 0 : 1) + job.duplicates
  if (job.replayOf !== null || count === 0) return
  const key = eventKey.toString('latin1')
  const known = duplicates.get(key)
  const { landedAt, n } = there
  duplicates.set(key, {
    eventKey,
    landedAt,
    n,
    count: (known?.count ?? 0) + count,
    firstAt: Math.min(known?.firstAt ?? at, at),
  })
}

/**
 * Whether a row has the body of the stored event: the same bytes, or the same document compressed otherwise. Of an
 * event that is gone, only the start of its hash is known.
 */
async function compareBodies(
  connection: Connection,
  found: readonly Found[],
): Promise<(entry: Found) => boolean> {
  const others = new Set(found.filter(({ row, there }) => !hasBody(there, bodySha256(row))))
  if (others.size === 0) return () => true
  const places = [...others].map(({ row, there: { landedAt, n } }) => ({
    eventKey: row.eventKey,
    landedAt,
    n,
    isCompressed: isGzip(bytesOf(row)),
  }))
  const bodies = await readCompressed(connection, places)
  return (entry) => {
    if (!others.has(entry)) return true
    const there = bodies.get(entry.row.eventKey.toString('latin1'))
    const [sent, kept] = [decodeBody(bytesOf(entry.row)), there && decodeBody(there)]
    return sent !== undefined && kept !== undefined && sent.equals(kept)
  }
}

function hasBody({ stored, bodyStart }: LockedEvent, sha256: Buffer): boolean {
  return stored ? stored.bodySha256.equals(sha256) : bodyStart.equals(sha256.subarray(0, bodyStart.length))
}

const CONFLICT = {
  name: 'EventConflict',
  message: 'Another body is stored under the same event id; the first one stands.',
}

type OfJourney = {
  readonly environment: string
  readonly event: { readonly journeyId: string | null }
}

function journeysOf(rows: readonly OfJourney[]): Map<string, Touched> {
  const journeys = new Map<string, Touched>()
  for (const row of rows) journeyIn(journeys, row)
  return journeys
}

/** The journey of a row, added to the others if it is missing; undefined if the row has none. */
function journeyIn(journeys: Map<string, Touched>, { environment, event }: OfJourney): Touched | undefined {
  const { journeyId } = event
  if (journeyId === null) return undefined
  const name = { environment, journeyId }
  const known = journeys.get(nameOf(name))
  if (known) return known
  const journey = touch(name)
  journeys.set(journey.key, journey)
  return journey
}

function byEventKey(a: EventRow, b: EventRow): number {
  return Buffer.compare(a.eventKey, b.eventKey)
}
