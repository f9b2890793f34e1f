import {
  countRefusals,
  createSubjectHash,
  type ErasableJourney,
  type Erasure,
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
import { UserError } from '../../runtime/index.ts'
import type { Stores } from '../stores.ts'
import { checkArchives, countArchived } from './archives.ts'
import { findNames, SLOW } from './subjects.ts'

/** What an erasure would delete. */
export type ErasurePlan = {
  readonly sought: Sought
  readonly subjects: readonly Subject[]
  readonly wanted: Wanted
  readonly journeys: readonly ErasableJourney[]
  /** How much each store has. `queue`: jobs of every state, also those that have landed. */
  readonly counts: Readonly<Record<'events' | 'dead_letters' | 'refusals' | 'inbox' | 'queue', number>>
  /** How many events the archives have. They are counted only if nothing else was found: it takes long. */
  readonly archived: number | undefined
  /** The newest erasure of the same. */
  readonly last: Erasure | undefined
}

const REDIS_WITHIN_MS = 3_000

/** Looks for what would be erased, and changes nothing. */
export async function planErasure(stores: Stores, sought: Sought): Promise<ErasurePlan> {
  const { db, queue, copies } = stores
  if (queue && !(await queue.ready(REDIS_WITHIN_MS))) {
    throw new UserError('Redis does not answer; `npx sluice doctor` says why. Nothing was erased.')
  }
  await checkArchives(db, copies?.archives)
  const { wanted, subjects, journeys, jobs } = await findNames(stores, sought)
  const rows = await db.transaction(
    async (connection) => ({
      events: (await searchEvents(connection, wanted)).length,
      dead_letters: (await searchLetters(connection, wanted)).length,
      refusals: await countRefusals(connection, wanted),
      inbox: (await searchInbox(connection, wanted)).length,
    }),
    SLOW,
  )
  const counts = { ...rows, queue: jobs }
  const isFound = journeys.length > 0 || Object.values(counts).some((count) => count > 0)
  return {
    sought,
    subjects,
    wanted,
    journeys,
    counts,
    archived:
      copies?.archives === undefined || isFound ? undefined : await countArchived(copies.archives, wanted),
    last: await lastErasure(db, sought.kind, subjects[0] as Subject),
  }
}

async function lastErasure(db: Stores['db'], kind: string, subject: Subject): Promise<Erasure | undefined> {
  const { secret } = await readInstallation(db.pool)
  const hash = Buffer.from(createSubjectHash(secret)(textOf(subject)), 'latin1')
  const all = await listErasures(db)
  return all.findLast((each) => each.kind === kind && each.subjects.some((one) => one.equals(hash)))
}
