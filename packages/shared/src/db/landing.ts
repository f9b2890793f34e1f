import { ANONYMOUS_WINDOW_MS, anonymousEventKey } from '../idwise/identity.ts'
import { toJourneyEvent } from '../journey/event.ts'
import { failpoint } from '../runtime/failpoint.ts'
import { resolveReplayed } from './dead-letters.ts'
import type { Erased } from './erased.ts'
import { type BodyAs, bodySha256, type EventRow, type Job, readJob } from './event-row.ts'
import { classifyFailure } from './failure.ts'
import { insertEvents } from './insert-events.ts'
import { type FoldOptions, foldTouched, journeyIn, journeysOf, lookUp } from './journeys.ts'
import { keepOut } from './keep-out.ts'
import { newestAnonymous } from './known-events.ts'
import type { Connection } from './pool.ts'
import { type KnownOutcome, settleKnown } from './settle-known.ts'

export type LandingOutcome = 'landed' | KnownOutcome

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
  const settled = others.length > 0 ? await settleKnown(connection, others, journeys, options) : undefined
  for (const [row, outcome] of settled?.outcomes ?? []) outcomes.set(row, outcome)
  await resolveReplayed(
    connection,
    rows.filter((row) => outcomes.get(row) !== 'conflict').flatMap((row) => row.job.replayOf ?? []),
  )
  const touched = [...journeys.values()].filter(({ landed, altered }) => altered || landed.length > 0)
  await foldTouched(connection, touched, options)
  if (settled && settled.gone.length > 0) {
    const again = await landEventRows(connection, settled.gone, options)
    for (const [index, row] of settled.gone.entries()) outcomes.set(row, again[index] as LandingOutcome)
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

function byEventKey(a: EventRow, b: EventRow): number {
  return Buffer.compare(a.eventKey, b.eventKey)
}
