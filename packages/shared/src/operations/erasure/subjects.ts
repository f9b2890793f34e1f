import {
  createErased,
  createMatcher,
  createSubjectHash,
  type ErasableJourney,
  findErasable,
  type JourneyName,
  journeyOf,
  nameOf,
  readErasure,
  readInstallation,
  type Sought,
  type Subject,
  searchInbox,
  textOf,
  type Wanted,
} from '../../db/index.ts'
import { storedId } from '../../idwise/index.ts'
import { knownEnvironments, type Stores } from '../stores.ts'
import { remnants } from './verify.ts'

/** No index serves all that is looked for. */
export const SLOW = { statementMs: 3_600_000, lockMs: 30_000 }

/** Who is erased: with ids in clear to look for, and as subjects, of which nothing is stored any more. */
export type ErasedNames = {
  readonly wanted: Wanted
  readonly subjects: readonly Subject[]
  /** The journeys of which something is stored, or waits. */
  readonly journeys: readonly ErasableJourney[]
  /** How many jobs belong to it, of every state. */
  readonly jobs: number
}

/** Finds the journeys that are erased together with what is sought, also those that only an event names which waits. */
export async function findNames(
  stores: Pick<Stores, 'db' | 'queue' | 'sources'>,
  given: Sought,
): Promise<ErasedNames> {
  const { db, queue } = stores
  const sought = { ...given, name: storedId(given.name) }
  const stored = await db.transaction((connection) => findErasable(connection, sought), SLOW)
  const environments = given.environment
    ? [given.environment]
    : [...new Set([...(await knownEnvironments(stores)), ...stored.map(({ environment }) => environment)])]
  const named = environments.map((environment) => ({ environment, name: sought.name }))
  const isJourney = sought.kind === 'journey'
  const references = isJourney
    ? []
    : named.map(({ environment, name }) => ({ environment, referenceNo: name }))
  const none: Wanted = { journeys: [], references, names: [...new Set([given.name, sought.name])] }
  const asked = isJourney
    ? named.map(({ environment, name }) => ({ environment, journeyId: name }))
    : stored.map(({ environment, journeyId }) => ({ environment, journeyId }))
  const first = withJourneys(none, asked)
  const jobs = await searchJobs(queue, first)
  const known = new Set(asked.map(nameOf))
  const waiting = isJourney ? [] : [...jobs, ...(await searchInbox(db.pool, first))]
  const others = distinct(waiting.flatMap(({ journey }) => journey ?? [])).filter(
    (journey) => !known.has(nameOf(journey)),
  )
  // Other events of such a journey may have landed.
  const rows = await Promise.all(
    others.map(({ environment, journeyId }) =>
      findErasable(db.pool, { kind: 'journey', name: journeyId, environment }),
    ),
  )
  const wanted = withJourneys(first, others)
  return {
    wanted,
    subjects: subjectsOf(wanted),
    journeys: [...stored, ...others.map((other, index) => rows[index]?.[0] ?? { ...other, ...NOT_LANDED })],
    jobs: (others.length > 0 ? await searchJobs(queue, wanted) : jobs).length,
  }
}

const NOT_LANDED = { referenceNo: null, events: 0, firstEventAt: null, lastEventAt: null }

export function withJourneys(
  { journeys, references, names }: Wanted,
  further: readonly JourneyName[],
): Wanted {
  return {
    journeys: [...journeys, ...further],
    references,
    names: [...new Set([...names, ...further.map(({ journeyId }) => journeyId)])],
  }
}

/** As subjects, what was asked for comes first. */
export function subjectsOf({ journeys, references }: Wanted): Subject[] {
  return [
    ...references.map(({ environment, referenceNo }) => ({
      kind: 'reference' as const,
      environment,
      name: referenceNo,
    })),
    ...journeys.map(({ environment, journeyId }) => ({
      kind: 'journey' as const,
      environment,
      name: journeyId,
    })),
  ]
}

/**
 * The journeys that an interrupted run knew, and that no event tells any more which waits. They are found by their
 * hashes, for which every journey is read.
 *
 * @param subjects that are known
 */
export async function findForgotten(
  stores: Stores,
  erasure: number,
  subjects: readonly Subject[],
): Promise<JourneyName[]> {
  const { secret } = await readInstallation(stores.db.pool)
  const hashOf = createSubjectHash(secret)
  const known = new Set(subjects.map((subject) => hashOf(textOf(subject))))
  const row = await readErasure(stores.db, erasure)
  const hashes = row?.subjects.map((subject) => subject.toString('latin1')) ?? []
  const forgotten = new Map(hashes.flatMap((each) => (known.has(each) ? [] : [[each, erasure]])))
  if (forgotten.size === 0) return []
  const journeys: JourneyName[] = []
  for await (const { environment, journeyId } of remnants(stores, createErased(forgotten, hashOf))) {
    if (journeyId !== null) journeys.push({ environment, journeyId })
  }
  return distinct(journeys)
}

function distinct(journeys: readonly JourneyName[]): JourneyName[] {
  return [...new Map(journeys.map((journey) => [nameOf(journey), journey])).values()]
}

async function searchJobs(
  queue: Stores['queue'],
  wanted: Wanted,
): Promise<{ readonly journey: JourneyName | null }[]> {
  const match = createMatcher(wanted)
  const found: { journey: JourneyName | null }[] = []
  for (const shard of queue?.allJobs() ?? []) {
    for await (const { data } of shard.each()) {
      const matched = match(data)
      if (matched) found.push({ journey: journeyOf(matched.enclosed) })
    }
  }
  return found
}
