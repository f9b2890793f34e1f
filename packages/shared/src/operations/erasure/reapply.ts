import {
  appendReceipt,
  type Erased,
  listErasures,
  markErased,
  readErasure,
  readInstallation,
  recordAction,
  requestAgain,
  type Wanted,
} from '../../db/index.ts'
import { UserError } from '../../runtime/index.ts'
import type { Stores } from '../stores.ts'
import { checkArchives } from './archives.ts'
import { awaitLandings, type EraseContext, endWithReceipt, eraseAll, LIMITS } from './erase.ts'
import { purge, type Remains } from './purge.ts'
import { hashOfReceipt, isSigned, type Receipt, receiptKey } from './receipt.ts'
import { receiptsOf } from './receipt-files.ts'
import { erasedBy, remnants } from './verify.ts'

/** `erasures`: those of which something was found. `receipts`: those that the database did not have. */
export type Reapplied = { readonly erasures: readonly number[]; readonly receipts: readonly number[] }

/**
 * Erases again what a restored database has of erased subjects. It finds them by hashing what is stored.
 *
 * @param receipts those that were kept elsewhere: the database may be older than they are
 */
export async function reapplyErasures(
  stores: Stores,
  receipts: readonly Receipt[],
  { actor, ...context }: EraseContext & { readonly actor: string },
): Promise<Reapplied> {
  const { db, copies } = stores
  await checkArchives(db, copies?.archives)
  const { secret } = await readInstallation(db.pool)
  const { public: publicKey } = receiptKey(secret)
  for (const receipt of receipts) {
    if (isSigned(receipt, publicKey)) continue
    throw new UserError(
      `Receipt ${receipt.number} was changed, or is of another installation. Nothing was done.`,
    )
  }
  const known = new Set((await receiptsOf(db)).map(hashOfReceipt))
  const lost = receipts
    .filter((receipt) => !known.has(hashOfReceipt(receipt)))
    .sort((a, b) => a.number - b.number)
  const rows = await requestAgain(db, lost.map(rowOf))
  await awaitLandings(db, context)

  const erasures = new Set<number>()
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    const found = await findAgain(stores, erasedBy(await listErasures(db), secret))
    if (found.size === 0) break
    for (const [erasure, wanted] of found) {
      await eraseAll(stores, erasure, wanted, context)
      erasures.add(erasure)
    }
  }
  context.report?.('the stores write their files anew')
  const progress = await Promise.all([...erasures].map((erasure) => readErasure(db, erasure)))
  const tables = progress.flatMap((erasure) => erasure?.progress.tables ?? [])
  const remains = await purge(stores, tables, context.limits ?? LIMITS)
  for (const [index, receipt] of lost.entries())
    await endAgain(stores, rows[index] as number, receipt, remains)
  if (!remains.isPurged)
    context.report?.('the files of a store still have it: remove the cause, and run the same again')
  const numbers = lost.map(({ number }) => number)
  const target = `${erasures.size} erasures; receipts: ${numbers.join(', ') || 'none'}`
  await recordAction(db.pool, { actor, action: 'reapply', target })
  return { erasures: [...erasures], receipts: numbers }
}

function rowOf({ erasure, kind, subjects, actor, reason, requestedAt }: Receipt) {
  return {
    n: erasure,
    kind,
    subjects: subjects.map((subject) => Buffer.from(subject, 'hex')),
    actor,
    reason,
    requestedAt: new Date(requestedAt),
  }
}

/** Events may go on coming. */
const MOST_ROUNDS = 5

/** A receipt that continues the chain is kept as it is. If the chain has gone on without it, there is a new one. */
async function endAgain(stores: Stores, n: number, receipt: Receipt, remains: Remains): Promise<void> {
  const last = (await receiptsOf(stores.db)).sort((a, b) => a.number - b.number).at(-1)
  const continues =
    n === receipt.erasure &&
    receipt.number === (last?.number ?? 0) + 1 &&
    receipt.previous === (last ? hashOfReceipt(last) : null)
  if (!continues) {
    await markErased(stores.db, n)
    return endWithReceipt(stores, n, remains)
  }
  const { erasedAt, purgedAt } = receipt
  await appendReceipt(
    stores.db,
    { n, erasedAt: new Date(erasedAt), purgedAt: purgedAt === null ? null : new Date(purgedAt) },
    { receipt, hash: Buffer.from(hashOfReceipt(receipt), 'hex') },
  )
}

/** What the stores have of erased subjects, with its names in clear. */
async function findAgain(stores: Stores, erased: Erased): Promise<Map<number, Wanted>> {
  const found = new Map<number, { [Part in keyof Wanted]: Wanted[Part][number][] }>()
  for await (const { erasure, environment, journeyId, referenceNo } of remnants(stores, erased)) {
    const wanted = found.get(erasure) ?? { journeys: [], references: [], names: [] }
    found.set(erasure, wanted)
    if (journeyId !== null) {
      wanted.journeys.push({ environment, journeyId })
      wanted.names.push(journeyId)
    }
    // Another journey may have the reference number of an erased one.
    const isErased = erased.of(environment, { journeyId: null, referenceNo, details: null }) !== undefined
    if (referenceNo !== null && isErased) {
      wanted.references.push({ environment, referenceNo })
      wanted.names.push(referenceNo)
    }
  }
  return found
}
