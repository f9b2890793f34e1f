import type { Erasure } from '../../db/index.ts'
import { hashOfReceipt, isSigned, type Receipt, readReceipt } from './receipt.ts'

/**
 * Checks the receipts of an installation: the signature of each, that none is missing, and that the rows say the same.
 *
 * @param lastReceipt the SHA-256 of the newest one, which the installation keeps
 * @param publicKey of the installation
 * @returns what is wrong, a line for each
 */
export function checkChain(
  erasures: readonly Erasure[],
  { lastReceipt, publicKey }: { lastReceipt: Buffer | null; publicKey: string },
): string[] {
  const problems: string[] = []
  const receipts: Receipt[] = []
  for (const erasure of erasures) {
    if (erasure.receipt === null) {
      problems.push(`Erasure ${erasure.n} has not ended: run the same \`npx sluice erase\` again.`)
      continue
    }
    const receipt = readReceipt(erasure.receipt)
    if (!receipt || !isSigned(receipt, publicKey)) {
      problems.push(`The receipt of erasure ${erasure.n} was changed: its signature does not fit.`)
    } else if (!isSame(receipt, erasure)) {
      problems.push(`Erasure ${erasure.n} was changed: its row differs from its receipt.`)
    }
    if (receipt) receipts.push(receipt)
  }
  receipts.sort((a, b) => a.number - b.number)
  let previous: Receipt | undefined
  for (const receipt of receipts) {
    if (receipt.number !== (previous?.number ?? 0) + 1) {
      problems.push(`Receipts are missing before receipt ${receipt.number}.`)
    } else if (receipt.previous !== (previous ? hashOfReceipt(previous) : null)) {
      problems.push(`Receipt ${receipt.number} does not follow the one before it.`)
    }
    previous = receipt
  }
  const newest = previous ? hashOfReceipt(previous) : null
  if (newest !== (lastReceipt?.toString('hex') ?? null)) {
    problems.push('The newest receipt is missing or was changed.')
  }
  return problems
}

function isSame(receipt: Receipt, { n, kind, subjects, requestedAt, erasedAt, purgedAt }: Erasure): boolean {
  return (
    receipt.erasure === n &&
    receipt.kind === kind &&
    receipt.subjects.join() === subjects.map((subject) => subject.toString('hex')).join() &&
    receipt.requestedAt === requestedAt.toISOString() &&
    receipt.erasedAt === erasedAt?.toISOString() &&
    receipt.purgedAt === (purgedAt?.toISOString() ?? null)
  )
}

/**
 * Whether the erasure of a receipt is in the database: with this receipt, or, if the chain had gone on without it, with
 * another one that `sluice erase reapply` has made.
 */
export function isKnown(receipt: Receipt, erasures: readonly Erasure[]): boolean {
  const hash = hashOfReceipt(receipt)
  return erasures.some((erasure) => {
    const own = readReceipt(erasure.receipt)
    if (!own) return false
    const isSame = own.requestedAt === receipt.requestedAt && own.subjects.join() === receipt.subjects.join()
    return isSame || hashOfReceipt(own) === hash
  })
}
