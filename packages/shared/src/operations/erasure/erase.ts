import {
  addProgress,
  classifyFailure,
  type Db,
  type Erasure,
  type ErasureProgress,
  endErasure,
  eraseRows,
  landingsEnded,
  markErased,
  mentions,
  nameOf,
  readErasure,
  requestErasure,
  unpurgedTables,
  type Wanted,
} from '../../db/index.ts'
import { failpoint, release, UserError } from '../../runtime/index.ts'
import type { Stores } from '../stores.ts'
import { checkArchives, rewriteArchives, type SearchedArchives } from './archives.ts'
import { eraseJobs } from './jobs.ts'
import type { ErasurePlan } from './plan.ts'
import { purge, type Remains } from './purge.ts'
import { hashOfReceipt, type Receipt, readReceipt, receiptKey, signReceipt } from './receipt.ts'
import { receiptsOf, writeReceiptFiles } from './receipt-files.ts'
import { findForgotten, findNames, SLOW, subjectsOf, withJourneys } from './subjects.ts'

export type EraseOptions = {
  readonly actor: string
  readonly reason?: string | undefined
  /** Large tables are rewritten as well, each of which is locked meanwhile. */
  readonly everySize?: boolean | undefined
} & EraseContext

export type EraseContext = {
  /** Is called with each step that may take long. */
  readonly report?: (line: string) => void
  /** The longest waits, ms: for landing transactions, for jobs under way, and for the files of a store. */
  readonly limits?: { readonly landingsMs: number; readonly jobsMs: number; readonly filesMs: number }
}

export const LIMITS = { landingsMs: 60_000, jobsMs: 60_000, filesMs: 600_000 }
/** Rows and jobs may move between the stores while they are searched. */
const MOST_ROUNDS = 10
const TRIES = 5

/**
 * Erases what was planned. If it is interrupted at any step, a call with the same plan goes on:
 *
 * 1. The row in `erasures` is committed: each landing transaction that begins from now on stores nothing of it.
 * 2. Landing transactions end that began before.
 * 3. Lines of archives, jobs and rows are deleted, until nothing is found any more.
 * 4. The stores write their files anew, as far as they can.
 * 5. The receipt is signed.
 *
 * @returns the receipt
 */
export async function erase(stores: Stores, plan: ErasurePlan, options: EraseOptions): Promise<Receipt> {
  const { db, copies } = stores
  if (mentions(Buffer.from(`${options.reason ?? ''} ${options.actor}`), plan.wanted.names)) {
    throw new UserError('The receipt keeps reason and actor: leave ids of the person out of them.')
  }
  await checkArchives(db, copies?.archives)
  if (copies?.receipts) await writeReceiptFiles(copies.receipts, await receiptsOf(db))
  const { erasure, wanted } = await keepOutAll(stores, plan, options)
  await eraseAll(stores, erasure, wanted, options)
  await markErased(db, erasure)
  options.report?.('the stores write their files anew')
  const { limits: { filesMs } = LIMITS, everySize } = options
  const remains = await purge(stores, await unpurgedTables(db, erasure), { filesMs, everySize })
  failpoint('erase-after-files')
  await endWithReceipt(stores, erasure, remains)
  return readReceipt((await readErasure(db, erasure))?.receipt) as Receipt
}

/**
 * Requests the erasure, and waits until nothing of it lands any more. A journey that has landed since the plan may have
 * the reference number too, and an interrupted run may have known more of them: then the same begins anew with these.
 */
async function keepOutAll(
  stores: Stores,
  { sought, ...plan }: ErasurePlan,
  options: EraseOptions,
): Promise<{ erasure: number; wanted: Wanted }> {
  const { actor, reason = null } = options
  for (let { wanted, subjects }: Pick<ErasurePlan, 'wanted' | 'subjects'> = plan; ; ) {
    const erasure = await requestErasure(stores.db, { kind: sought.kind, subjects, actor, reason })
    failpoint('erase-after-request')
    await awaitLandings(stores.db, options)
    const known = new Set(wanted.journeys.map(nameOf))
    const found = await findNames(stores, sought)
    const all = [...found.wanted.journeys, ...(await findForgotten(stores, erasure, subjects))]
    const further = all.filter((journey) => !known.has(nameOf(journey)))
    if (further.length === 0) return { erasure, wanted }
    wanted = withJourneys(wanted, further)
    subjects = subjectsOf(wanted)
  }
}

/** Signs the next receipt, and writes it to the folder of receipts if there is one. */
export async function endWithReceipt(
  { db, copies }: Stores,
  erasure: number,
  remains: Remains,
): Promise<void> {
  await endErasure(db, erasure, remains.isPurged, (row, { secret, last }) => {
    const receipt = signReceipt(unsignedReceipt(row, last, remains), receiptKey(secret))
    return { receipt, hash: Buffer.from(hashOfReceipt(receipt), 'hex') }
  })
  if (copies?.receipts) await writeReceiptFiles(copies.receipts, await receiptsOf(db))
}

export async function awaitLandings(db: Db, { report, limits = LIMITS }: EraseContext): Promise<void> {
  report?.('waiting for events that are landing')
  if (await landingsEnded(db, limits.landingsMs)) return
  throw new UserError(
    'A worker is landing events since before. Nothing was deleted: end that worker, and run the same command again.',
  )
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

/**
 * Deletes all of it from the stores and archives, and notes on the erasure how much that was. The rows go last, since
 * they have the ids of journeys if this is interrupted.
 */
export async function eraseAll(
  { db, queue, copies }: Stores,
  erasure: number,
  wanted: Wanted,
  { report = () => {}, limits = LIMITS }: EraseContext,
): Promise<void> {
  const searched: SearchedArchives = new Map()
  /** Also after the rows are gone, since retention may write an archive meanwhile. */
  async function eraseArchived(dir: string): Promise<number> {
    report('searching the archives')
    const archives = await rewriteArchives(dir, wanted, searched)
    if (archives > 0) await addProgress(db.pool, erasure, { counts: { archives }, tombstones: 0, tables: [] })
    return archives
  }
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    const archived = copies?.archives === undefined ? 0 : await eraseArchived(copies.archives)
    report(queue ? 'deleting jobs and rows' : 'deleting rows')
    const jobs = await eraseJobs({ db, queue }, erasure, wanted, limits.jobsMs)
    const rows = await withTries(() =>
      db.transaction(async (connection) => {
        const progress = await eraseRows(connection, wanted)
        await addProgress(connection, erasure, progress)
        return progress
      }, SLOW),
    )
    failpoint('erase-after-rows')
    if (round > 1 && archived + jobs + totalOf(rows) === 0) return
  }
  throw new UserError('Events of it come faster than they can be deleted. Run the same command again.')
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
