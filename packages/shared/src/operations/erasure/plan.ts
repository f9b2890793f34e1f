import {
  countRefusals,
  createMatcher,
  createSubjectHash,
  type ErasableJourney,
  type Erasure,
  findErasable,
  listErasures,
  readInstallation,
  type Sought,
  type Subject,
  searchEvents,
  searchInbox,
  searchLetters,
  textOf,
  type Wanted,
} from '../../db/index.ts'
import { storedId } from '../../idwise/index.ts'
import { UserError } from '../../runtime/index.ts'
import { knownEnvironments, type Stores } from '../stores.ts'

/** What an erasure would delete. */
export type ErasurePlan = {
  readonly sought: Sought
  readonly subjects: readonly Subject[]
  readonly wanted: Wanted
  readonly journeys: readonly ErasableJourney[]
  /** How much each store has. `queue`: jobs of every state, also those that have landed. */
  readonly counts: Readonly<Record<'events' | 'dead_letters' | 'refusals' | 'inbox' | 'queue', number>>
  /** The newest erasure of the same. */
  readonly last: Erasure | undefined
}

const REDIS_WITHIN_MS = 3_000

/** Looks for what would be erased, and changes nothing. */
export async function planErasure(stores: Stores, given: Sought): Promise<ErasurePlan> {
  const { db, queue } = stores
  if (queue && !(await queue.ready(REDIS_WITHIN_MS))) {
    throw new UserError('Redis does not answer; `sluice doctor` says why. Nothing was erased.')
  }
  const sought = { ...given, name: storedId(given.name) }
  const journeys = await findErasable(db.pool, sought)
  const found = journeys.map(({ environment }) => environment)
  const environments = given.environment
    ? [given.environment]
    : [...new Set([...(await knownEnvironments(stores)), ...found])]
  const named = environments.map((environment) => ({ environment, name: sought.name }))
  const ofJourneys =
    sought.kind === 'journey'
      ? named.map(({ environment, name }) => ({ environment, journeyId: name }))
      : journeys.map(({ environment, journeyId }) => ({ environment, journeyId }))
  const references =
    sought.kind === 'journey'
      ? []
      : named.map(({ environment, name }) => ({ environment, referenceNo: name }))
  const wanted = {
    journeys: ofJourneys,
    references,
    names: [...new Set([given.name, sought.name, ...ofJourneys.map(({ journeyId }) => journeyId)])],
  }
  const subjects: Subject[] = [
    ...references.map(({ environment, referenceNo }) => ({
      kind: 'reference' as const,
      environment,
      name: referenceNo,
    })),
    ...ofJourneys.map(({ environment, journeyId }) => ({
      kind: 'journey' as const,
      environment,
      name: journeyId,
    })),
  ]
  return {
    sought,
    subjects,
    wanted,
    journeys,
    counts: {
      events: (await searchEvents(db.pool, wanted)).length,
      dead_letters: (await searchLetters(db.pool, wanted)).length,
      refusals: await countRefusals(db.pool, wanted),
      inbox: (await searchInbox(db.pool, wanted)).length,
      queue: await countJobs(queue, wanted),
    },
    last: await lastErasure(db, sought.kind, subjects[0] as Subject),
  }
}

async function countJobs(queue: Stores['queue'], wanted: Wanted): Promise<number> {
  const match = createMatcher(wanted)
  let count = 0
  for (const shard of queue?.allJobs() ?? []) {
    for await (const { data } of shard.each()) if (match(data)) count++
  }
  return count
}

async function lastErasure(db: Stores['db'], kind: string, subject: Subject): Promise<Erasure | undefined> {
  const { secret } = await readInstallation(db.pool)
  const hash = Buffer.from(createSubjectHash(secret)(textOf(subject)), 'latin1')
  const all = await listErasures(db)
  return all.findLast((each) => each.kind === kind && each.subjects.some((one) => one.equals(hash)))
}
