import {
  addProgress,
  classifyFailure,
  createBodyMatcher,
  type Erasure,
  type ErasureProgress,
  endErasure,
  eraseRows,
  landingsEnded,
  markErased,
  readErasure,
  requestErasure,
} from '../../db/index.ts'
import { failpoint, release, UserError } from '../../runtime/index.ts'
import type { Stores } from '../stores.ts'
import { rewriteArchives } from './archives.ts'
import { eraseJobs } from './jobs.ts'
import type { ErasurePlan } from './plan.ts'
import { purge, type Remains } from './purge.ts'
import { hashOfReceipt, type Receipt, readReceipt, receiptKey, signReceipt } from './receipt.ts'

export type EraseOptions = {
  readonly actor: string
  readonly reason?: string | undefined
  /** The folder of the archives of dropped partitions. */
  readonly archiveDir?: string | undefined
  /** How long backups are kept, in words. */
  readonly backupRetention?: string | undefined
  /** Is called with each step that may take long. */
  readonly report?: (line: string) => void
  /** The longest waits, ms: for landing transactions, for jobs under way, and for the files of a store. */
  readonly limits?: { readonly landingsMs: number; readonly jobsMs: number; readonly filesMs: number }
}

const LIMITS = { landingsMs: 60_000, jobsMs: 60_000, filesMs: 600_000 }
/** Rows and jobs may move between the stores while they are searched. */
const MOST_ROUNDS = 10
const TRIES = 5
const SLOW = { statementMs: 3_600_000, lockMs: 30_000 }

/**
 * Erases what was planned. If it is interrupted at any step, a call with the same plan goes on:
 *
 * 1. The row in `erasures` is committed: each landing transaction that begins from now on stores nothing of it.
 * 2. Landing transactions end that began before.
 * 3. Rows, jobs and lines of archives are deleted, until nothing is found any more.
 * 4. The stores write their files anew, as far as they can.
 * 5. The receipt is signed.
 *
 * @returns the receipt
 */
export async function erase(stores: Stores, plan: ErasurePlan, options: EraseOptions): Promise<Receipt> {
  const { db } = stores
  const { actor, reason = null, report = () => {}, limits = LIMITS } = options
  const { kind } = plan.sought
  const erasure = await requestErasure(db, { kind, subjects: plan.subjects, actor, reason })
  failpoint('erase-after-request')
  report('waiting for events that are landing')
  if (!(await landingsEnded(db, limits.landingsMs))) {
    throw new UserError(
      'A worker has been landing events since before. Nothing was deleted; run the same command again, or end that worker.',
    )
  }
  await eraseAll(stores, erasure, plan, { ...options, report, limits })
  await markErased(db, erasure)
  report('the stores write their files anew')
  const { progress } = (await readErasure(db, erasure)) as Erasure
  const remains = await purge(stores, progress.tables, { ...options, filesMs: limits.filesMs })
  failpoint('erase-after-files')
  await endErasure(db, erasure, remains.isPurged, (row, { secret, last }) => {
    const receipt = signReceipt(unsignedReceipt(row, last, remains), receiptKey(secret))
    return { receipt, hash: Buffer.from(hashOfReceipt(receipt), 'hex') }
  })
  return readReceipt((await readErasure(db, erasure))?.receipt) as Receipt
}

function unsignedReceipt(row: Erasure, last: unknown, { list }: Remains): Parameters<typeof signReceipt>[0] {
  const before = last === null ? undefined : readReceipt(last)
  const { n, kind, subjects, actor, reason, requestedAt, erasedAt, purgedAt, progress } = row
  return {
    number: (before?.number ?? 0) + 1,
    previous: before ? hashOfReceipt(before) : null,
    erasure: n,
    kind: kind as Receipt['kind'],
    subjects: subjects.map((subject) => subject.toString('hex')),
    actor,
    reason,
    requestedAt: requestedAt.toISOString(),
    erasedAt: (erasedAt as Date).toISOString(),
    purgedAt: purgedAt?.toISOString() ?? null,
    counts: progress.counts,
    tombstones: progress.tombstones,
    remains: [...list],
    release: release(),
  }
}

type Context = EraseOptions & Required<Pick<EraseOptions, 'report' | 'limits'>>

async function eraseAll(
  stores: Stores,
  erasure: number,
  { wanted }: Pick<ErasurePlan, 'wanted'>,
  { report, limits, archiveDir }: Context,
): Promise<void> {
  const { db } = stores
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    report('deleting rows')
    const rows = await withTries(() =>
      db.transaction(async (connection) => {
        const progress = await eraseRows(connection, wanted)
        await addProgress(connection, erasure, progress)
        return progress
      }, SLOW),
    )
    failpoint('erase-after-rows')
    const jobs = await eraseJobs(stores, erasure, wanted, limits.jobsMs)
    if (round > 1 && jobs + totalOf(rows) === 0) break
    if (round === MOST_ROUNDS)
      throw new UserError('Events of it come faster than they can be deleted. Run the same command again.')
  }
  if (archiveDir === undefined) return
  report('searching the archives')
  const isWanted = createBodyMatcher(wanted)
  const archives = await rewriteArchives(archiveDir, ({ environment, raw }) =>
    isWanted(environment, Buffer.from(raw, 'base64')),
  )
  if (archives > 0) await addProgress(db.pool, erasure, { counts: { archives }, tombstones: 0, tables: [] })
}

/** Another transaction may be in the way, such as an act on a dead letter. */
async function withTries<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries === TRIES || classifyFailure(error) !== 'passing') throw error
    }
  }
}

function totalOf({ counts }: ErasureProgress): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
