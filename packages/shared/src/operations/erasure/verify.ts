import {
  createErased,
  createSubjectHash,
  type Erased,
  type Erasure,
  findRemnants,
  listErasures,
  type Remnant,
  readEnclosed,
  readInstallation,
  remnantOf,
} from '../../db/index.ts'
import { knownEnvironments, type Stores } from '../stores.ts'
import { checkArchives, remnantsInArchives } from './archives.ts'
import { checkChain, isKnown } from './chain.ts'
import { isSigned, type Receipt, readReceipt, receiptKey } from './receipt.ts'

export type Verification = {
  readonly receipts: number
  readonly publicKey: string
  /** What is wrong, a line for each. */
  readonly problems: readonly string[]
  /** Events of erased subjects that wait: workers will land them as keys alone. */
  readonly waiting: number
}

const WAIT = ['inbox', 'queue']

/**
 * Checks all receipts, and that no store has anything of what they erased.
 *
 * @param files receipts that were kept elsewhere
 */
export async function verifyErasures(stores: Stores, files: readonly Receipt[]): Promise<Verification> {
  await checkArchives(stores.db, stores.copies?.archives)
  const { secret, lastReceipt } = await readInstallation(stores.db.pool)
  const { public: publicKey } = receiptKey(secret)
  const erasures = await listErasures(stores.db)
  const receipts = erasures.filter(({ receipt }) => readReceipt(receipt) !== undefined)
  const problems = [
    ...checkChain(erasures, { lastReceipt, publicKey }),
    ...files.flatMap((receipt) => problemOf(receipt, publicKey, erasures) ?? []),
  ]
  const found = new Map<string, number>()
  let waiting = 0
  for await (const { store, erasure } of remnants(stores, erasedBy(erasures, secret))) {
    if (WAIT.includes(store)) waiting++
    else found.set(`${store} ${erasure}`, (found.get(`${store} ${erasure}`) ?? 0) + 1)
  }
  for (const [place, count] of found) {
    const [store, erasure] = place.split(' ')
    problems.push(`${count} found in ${store} of what erasure ${erasure} has erased. ${AGAIN}`)
  }
  return { receipts: receipts.length, publicKey, problems, waiting }
}

const AGAIN = 'If the database was restored, run `npx sluice erase reapply`.'

function problemOf(receipt: Receipt, publicKey: string, erasures: readonly Erasure[]): string | undefined {
  const name = `The file of receipt ${receipt.number}`
  if (!isSigned(receipt)) return `${name} was changed: its signature does not fit.`
  if (!isSigned(receipt, publicKey)) return `${name} is of another installation.`
  if (isKnown(receipt, erasures)) return undefined
  return `${name} is not in the database, which is older: run \`npx sluice erase reapply\`.`
}

/** The subjects of these erasures. */
export function erasedBy(erasures: readonly Pick<Erasure, 'n' | 'subjects'>[], secret: Buffer): Erased {
  const byHash = erasures.flatMap(({ n, subjects }) =>
    subjects.map((subject) => [subject.toString('latin1'), n] as const),
  )
  return createErased(new Map(byHash), createSubjectHash(secret))
}

/** What any store has of erased subjects. */
export async function* remnants(stores: Stores, erased: Erased): AsyncGenerator<Remnant> {
  if (erased.size === 0) return
  const { db, queue, copies } = stores
  yield* findRemnants(db.pool, erased, await knownEnvironments(stores))
  if (copies?.archives !== undefined) yield* remnantsInArchives(copies.archives, erased)
  for (const shard of queue?.allJobs() ?? []) {
    for await (const { data } of shard.each()) {
      const enclosed = readEnclosed(data)
      if (enclosed) yield* remnantOf('queue', enclosed.environment, enclosed.event, erased)
    }
  }
}
