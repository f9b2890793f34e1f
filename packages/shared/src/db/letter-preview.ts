import { NO_ENVELOPE, parseJson, readEnvelope } from '../envelope.ts'
import type { Journey } from '../journey/fold.ts'
import { describeError } from '../runtime/errors.ts'
import { createErasedSubjects, type Erased } from './erased.ts'
import { classifyFailure, isTooSlow } from './failure.ts'
import { type JourneyName, nameOf, readJourneys } from './journey-rows.ts'
import { foldJourneys, journeysOfKeys } from './journeys.ts'
import { type LandingOutcome, landJobs } from './landing.ts'
import { type LetterFilter, whereLetter } from './letter-filter.ts'
import { ACTED_ON, type OperationKind } from './operation-rows.ts'
import type { Connection, Db } from './pool.ts'

/**
 * What an act would do to one letter. `fails`: it would be a dead letter again. `busy`: others work on its event or
 * journey just now, so that nothing can be said.
 */
type LetterTrial = {
  readonly id: number
  readonly environment: string | null
  readonly event: string | null
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly outcome: LandingOutcome | 'discarded' | 'opened' | 'fails' | 'busy'
  /** Why it fails. */
  readonly error: string | null
}

type JourneyEffect = JourneyName & {
  /** The row would be new. */
  readonly isNew: boolean
  readonly changes: readonly {
    readonly field: keyof Journey
    readonly from: string | number | null
    readonly to: string | number | null
  }[]
}

export type Preview = {
  readonly letters: readonly LetterTrial[]
  /** The journeys whose row would change. */
  readonly journeys: readonly JourneyEffect[]
}

type Letter = Omit<LetterTrial, 'outcome' | 'error'> & {
  readonly jobId: string
  readonly eventKey: Buffer | null
  readonly envelope: string
}

/** Short, since events wait for what it locks. It ends before Postgres looks for deadlocks. */
const LIMITS = { lockMs: 500, statementMs: 3_000 }

/**
 * Acts on the first letters of a set in a transaction that is rolled back, and compares the rows of their journeys. No
 * change stays, and none is announced.
 */
export async function previewLetters(
  db: Db,
  { kind, filter, sample }: { kind: OperationKind; filter: LetterFilter; sample: number },
): Promise<Preview> {
  const values: unknown[] = [sample, ACTED_ON[kind]]
  const { rows: letters } = await db.pool.query<Letter>(
    `select d.id::float8 as id, d.environment, d.event, d.event_id as "eventId", d.journey_id as "journeyId",
      d.job_id as "jobId", d.event_key as "eventKey", d.envelope from dead_letters d
    where d.state = $2 and ${whereLetter(filter, values)} order by d.id limit $1`,
    values,
  )
  const subjects = createErasedSubjects()
  let preview: Preview | undefined
  const done = new Error('rolled back')
  const run = db.landingTransaction(async (connection, now, erasures): Promise<never> => {
    const erased = await subjects.asOf(connection, erasures)
    const names = await journeysOf(connection, letters)
    const before = await readJourneys(connection, names)
    const trials: LetterTrial[] = []
    for (const letter of letters) {
      trials.push(await tryLetter(connection, letter, () => act(connection, kind, letter, { now, erased })))
    }
    const after = await readJourneys(connection, names)
    preview = { letters: trials, journeys: effects(names, before, after) }
    throw done
  }, LIMITS)
  await run.catch((error: unknown) => {
    if (error !== done) throw error
  })
  return preview as Preview
}

async function journeysOf(connection: Connection, letters: readonly Letter[]): Promise<JourneyName[]> {
  const named = letters.flatMap(({ environment, journeyId }) =>
    environment !== null && journeyId !== null ? [{ environment, journeyId }] : [],
  )
  const stored = await journeysOfKeys(
    connection,
    letters.flatMap(({ eventKey }) => eventKey ?? []),
  )
  return [...new Map([...named, ...stored].map((name) => [nameOf(name), name])).values()]
}

async function tryLetter(
  connection: Connection,
  letter: Letter,
  work: () => Promise<LetterTrial['outcome']>,
): Promise<LetterTrial> {
  const { jobId: _jobId, eventKey: _eventKey, envelope: _envelope, ...shown } = letter
  await connection.query('savepoint trial')
  try {
    const outcome = await work()
    // Checks now what Postgres would check at the commit.
    await connection.query('set constraints all immediate')
    return { ...shown, outcome, error: null }
  } catch (error) {
    const failure = classifyFailure(error)
    if (failure === 'infrastructure') throw error
    await connection.query('rollback to savepoint trial')
    const isBusy = failure === 'passing' || isTooSlow(error)
    return { ...shown, outcome: isBusy ? 'busy' : 'fails', error: describeError(error).message }
  }
}

async function act(
  connection: Connection,
  kind: OperationKind,
  { id, jobId, eventKey, envelope }: Letter,
  options: { readonly now: number; readonly erased: Erased },
): Promise<LetterTrial['outcome']> {
  if (kind !== 'replay') {
    const to = kind === 'discard' ? 'discarded' : 'open'
    await connection.query('update dead_letters set state = $2 where id = $1', [id, to])
    if (eventKey) {
      await foldJourneys(connection, await journeysOfKeys(connection, [eventKey]), { announced: false })
    }
    return kind === 'discard' ? 'discarded' : 'opened'
  }
  const read = readEnvelope(parseJson(envelope))
  if (!read) throw new Error(NO_ENVELOPE)
  const job = { jobId, envelope: read, via: 'inbox' as const, duplicates: 0, replayOf: id }
  const land = (withoutBody: boolean) =>
    landJobs(connection, [job], { ...options, withoutBody, announced: false })
  await connection.query('savepoint with_body')
  const outcomes = await land(false).catch(async (error: unknown) => {
    // As a worker does with an event that Postgres refuses.
    if (classifyFailure(error) !== 'event') throw error
    await connection.query('rollback to savepoint with_body')
    return land(true)
  })
  return outcomes[0] as LandingOutcome
}

const TIMES: ReadonlySet<string> = new Set(['firstEventAt', 'lastEventAt'])

function effects(
  names: readonly JourneyName[],
  before: readonly (Journey | undefined)[],
  after: readonly (Journey | undefined)[],
): JourneyEffect[] {
  return names.flatMap((name, index) => {
    const [old, now] = [before[index], after[index]]
    const fields = Object.keys(now ?? old ?? {}) as (keyof Journey)[]
    const changes = fields
      .filter((field) => !TIMES.has(field) && (old?.[field] ?? null) !== (now?.[field] ?? null))
      .map((field) => ({ field, from: old?.[field] ?? null, to: now?.[field] ?? null }))
    return changes.length > 0 ? [{ ...name, isNew: old === undefined, changes }] : []
  })
}
