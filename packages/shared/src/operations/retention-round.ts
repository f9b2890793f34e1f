import {
  absorbPartition,
  type Db,
  deleteDeadLetters,
  deleteKeys,
  describeTerms,
  detachPartition,
  dropDetached,
  limitOf,
  listDetached,
  listPartitions,
  overduePartitions,
  type Partition,
  readRetention,
  recordDropped,
  settleTerms,
  type Terms,
} from '../db/index.ts'
import { failpoint, type Log } from '../runtime/index.ts'
import { archivePartition, keepArchive } from './archive.ts'
import { surveyRetention } from './retention.ts'
import type { RetentionPolicy } from './retention-settings.ts'

/** `stop` ends a round early: the next one goes on. */
type Round = { readonly db: Db; readonly log: Log; readonly stop: AbortSignal }
type Deps = Round & { readonly archiveDir: string | undefined }

/** How often a partition is tried that a transaction keeps. */
const TRIES = 2

/**
 * Drops what is older than its term, if an operator has accepted that. A term that nobody has accepted yet is
 * announced.
 *
 * Each partition goes in steps, the oldest first: its journeys absorb its events → they are archived → they are
 * recorded as dropped → the partition is detached → its table is dropped. After a crash in between, the next round
 * goes on.
 */
export async function retainOnce(
  { db, log, stop }: Round,
  { terms, archiveDir }: RetentionPolicy,
): Promise<void> {
  if (!terms) return
  const { allowed, isNew } = await settleTerms(db, terms)
  const state = await readRetention(db.pool)
  if (isNew) await announce(db, log, terms)
  const deps = { db, log, stop, archiveDir: allowed.archive ? archiveDir : undefined }
  const partitions = await listPartitions(db.pool)
  const going = overduePartitions(partitions, allowed.events, state.now)
  // One partition at a time can be detaching, and it is the first to go.
  for (const partition of going.toSorted((a, b) => Number(b.isDetaching) - Number(a.isDetaching))) {
    stop.throwIfAborted()
    if (!(await dropEvents(deps, partition))) break
  }
  if (allowed.events !== null) await dropTables(deps)
  await deleteRows(deps, allowed, state.now)
}

async function announce(db: Db, log: Log, terms: Terms): Promise<void> {
  const { overdue, needsAcceptance } = await surveyRetention(db)
  if (!needsAcceptance) return
  log.warn(
    { terms: describeTerms(terms), older: overdue },
    'nothing is dropped by new terms of retention until `npx sluice retention accept`',
  )
}

/** @returns false if a transaction that stays open keeps the partition */
async function dropEvents({ db, log, stop, archiveDir }: Deps, partition: Partition): Promise<boolean> {
  const { name, until } = partition
  if (!partition.isDetaching) {
    const journeys = await absorbPartition(db, partition, stop)
    failpoint('retention-after-step')
    const archived = archiveDir && (await archivePartition(db, { dir: archiveDir, table: name, stop }))
    failpoint('retention-after-step')
    await recordDropped(db, partition)
    log.info({ partition: name, until, journeys, ...(archiveDir && { archived }) }, 'events go')
    failpoint('retention-after-step')
  }
  for (let tries = 1; tries <= TRIES; tries++) {
    const now = (await listPartitions(db.pool)).find((one) => one.name === name)
    if (!now || (await detachPartition(db, now))) {
      failpoint('retention-after-step')
      return true
    }
  }
  log.warn({ partition: name }, 'a transaction that stays open keeps a partition; it goes later')
  return false
}

async function dropTables({ db, log, stop, archiveDir }: Deps): Promise<void> {
  for (const table of await listDetached(db.pool)) {
    if (archiveDir) await keepArchive(db, { dir: archiveDir, table: table.name, stop })
    if (await dropDetached(db, table))
      log.info({ partition: table.name, until: table.until }, 'events dropped')
    else log.warn({ partition: table.name }, 'a transaction that stays open keeps a table; it goes later')
  }
}

async function deleteRows({ db, log, stop }: Deps, { keys, deadLetters }: Terms, now: Date): Promise<void> {
  const [keysBefore, lettersBefore] = [limitOf(keys, now), limitOf(deadLetters, now)]
  const gone = {
    keys: keysBefore ? await deleteKeys(db, keysBefore, stop) : 0,
    deadLetters: lettersBefore ? await deleteDeadLetters(db, lettersBefore, stop) : 0,
  }
  if (gone.keys + gone.deadLetters > 0) log.info(gone, 'rows older than their term are deleted')
}
