import { type Environment, writeEnvelope } from '../envelope.ts'
import { decodeBody, isGzip } from '../idwise/decode.ts'
import { ANONYMOUS_WINDOW_MS, anonymousEventKey } from '../idwise/identity.ts'
import { failpoint } from '../runtime/failpoint.ts'
import { resolveReplayed, writeDeadLetters } from './dead-letters.ts'
import {
  type BodyAs,
  bodySha256,
  bytesOf,
  type EventRow,
  type Job,
  journeyEventOf,
  readJob,
} from './event-row.ts'
import { countDuplicates, insertEvents, lockEvents, newestAnonymous, readCompressed } from './events.ts'
import { classifyFailure } from './failure.ts'
import { nameOf } from './journey-rows.ts'
import { type FoldOptions, foldTouched, lookUp, type Touched, touch } from './journeys.ts'
import type { Connection } from './pool.ts'

export type LandingOutcome = 'landed' | 'duplicate' | 'conflict'

export type LandOptions = FoldOptions & {
  /**
   * A last try for a document that jsonb refuses: as JavaScript writes it, and if jsonb refuses that too, with an empty
   * `body` column.
   */
  readonly withoutBody?: boolean
  /** Postgres' clock, ms since 1970. A time of receipt that is later comes from a wrong clock. */
  readonly now?: number
}

/**
 * Lands jobs in the caller's transaction: each event once, by its key.
 *
 * Every transaction locks in this order, or concurrent batches would deadlock: bodies without event id, inserted rows
 * by key, rows that exist already by key, journeys by name.
 *
 * @returns for each job, in order: `landed` made the row; `duplicate` found it with the same bytes; `conflict` found it
 * with other bytes and is a dead letter now.
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
  const land = (bodyAs: BodyAs) =>
    landEventRows(
      connection,
      jobs.map((job) => readJob(job, bodyAs, now)),
      options,
    )
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
    journeyIn(journeys, row)?.landed.push(journeyEventOf(row))
    return false
  })
  if (others.length > 0) await settleOthers(connection, others, { outcomes, journeys, options })
  await resolveReplayed(
    connection,
    rows.filter((row) => outcomes.get(row) !== 'conflict').flatMap((row) => row.delivery.replayOf ?? []),
  )
  const touched = [...journeys.values()].filter(({ landed, altered }) => altered || landed.length > 0)
  await foldTouched(connection, touched, options)
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
      const { at, delivery } = row
      const same = firsts.find((first) => Math.abs(at - first.receivedAt) <= ANONYMOUS_WINDOW_MS)
      // By the ingest's clock, right or wrong: a second run of the job makes the same key, however late it is.
      row.eventKey =
        same?.eventKey ?? anonymousEventKey(row.environment, bodySha256(row), delivery.envelope.at)
      if (!same) firsts.push({ eventKey: row.eventKey, receivedAt: at })
    }
  }
}

/** Separates duplicates from conflicts among the rows whose event was stored already. */
async function settleOthers(
  connection: Connection,
  others: readonly EventRow[],
  {
    outcomes,
    journeys,
    options,
  }: { outcomes: Map<EventRow, LandingOutcome>; journeys: Map<string, Touched>; options: FoldOptions },
): Promise<void> {
  const stored = await lockEvents(connection, others.map((row) => row.eventKey).sort(Buffer.compare))
  const isSame = await compareBodies(connection, others, stored)
  const duplicates = new Map<string, { count: number; firstAt: number }>()
  const conflicts: EventRow[] = []
  for (const row of others) {
    const key = row.eventKey.toString('latin1')
    const there = stored.get(key)
    if (!there) throw new Error('an event that was stored is gone')
    const { at } = row
    const { deliveryId } = row.delivery.envelope
    const isConflict = !isSame(row)
    outcomes.set(row, isConflict ? 'conflict' : 'duplicate')
    if (isConflict) conflicts.push(row)
    if (isConflict || at < there.receivedAt) {
      const journey = journeyIn(journeys, { environment: there.environment, event: there })
      if (journey) journey.altered = true
    }
    // The same delivery id comes from a job that ran twice (its worker died, or its add was repeated), not from a
    // redelivery. A replay is no redelivery either.
    if (isConflict || row.delivery.replayOf !== null) continue
    const further = (there.deliveryId === deliveryId ? 0 : 1) + row.delivery.duplicates
    if (further === 0) continue
    const known = duplicates.get(key)
    duplicates.set(key, {
      count: (known?.count ?? 0) + further,
      firstAt: Math.min(known?.firstAt ?? at, at),
    })
  }
  await countDuplicates(connection, duplicates)
  await writeDeadLetters(
    connection,
    conflicts.map((row) => ({
      jobId: row.delivery.jobId,
      reason: 'conflict' as const,
      error: CONFLICT,
      attempts: 1,
      envelope: writeEnvelope(row.delivery.envelope),
    })),
    options,
  )
}

/** Whether a row has the body of the stored event: the same bytes, or the same document compressed otherwise. */
async function compareBodies(
  connection: Connection,
  rows: readonly EventRow[],
  stored: ReadonlyMap<string, { readonly bodySha256: Buffer }>,
): Promise<(row: EventRow) => boolean> {
  const others = new Set(
    rows.filter((row) => !stored.get(row.eventKey.toString('latin1'))?.bodySha256.equals(bodySha256(row))),
  )
  if (others.size === 0) return () => true
  const keysOf = (some: readonly EventRow[]) => some.map(({ eventKey }) => eventKey)
  const compressed = [...others].filter((row) => isGzip(bytesOf(row)))
  const bodies = await readCompressed(connection, keysOf([...others]), keysOf(compressed))
  return (row) => {
    if (!others.has(row)) return true
    const there = bodies.get(row.eventKey.toString('latin1'))
    const [sent, kept] = [decodeBody(bytesOf(row)), there && decodeBody(there)]
    return sent !== undefined && kept !== undefined && sent.equals(kept)
  }
}

const CONFLICT = {
  name: 'EventConflict',
  message: 'Another body is stored under the same event id; the first one stands.',
}

type OfJourney = {
  readonly environment: Environment
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
