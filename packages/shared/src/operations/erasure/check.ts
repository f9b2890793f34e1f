import { type Db, type Erasure, listErasures } from '../../db/index.ts'
import { type Check, describeError, fail, ok, warn } from '../../runtime/index.ts'
import { isKnown } from './chain.ts'
import { listReceiptFiles, readReceiptFiles } from './receipt-files.ts'

/**
 * Checks that erasures have ended, and that the database is not older than a receipt.
 *
 * @param dir the folder of receipts
 */
export async function checkErasures(db: Db, dir: string | undefined): Promise<Check[]> {
  // If the schema is missing, another check says so.
  const erasures = await listErasures(db).catch(() => undefined)
  if (!erasures) return []
  const older = dir === undefined ? undefined : await compareWithFiles(dir, erasures)
  if (older) return [older]
  const open = erasures.filter((erasure) => erasure.receipt === null)
  if (open.length > 0) {
    const numbers = open.map(({ n }) => n).join(', ')
    return [warn('Erasures', `not ended: ${numbers}`, 'Run the same `npx sluice erase` again.')]
  }
  return erasures.length === 0 ? [] : [ok('Erasures', `${erasures.length}, all with receipts`)]
}

async function compareWithFiles(dir: string, erasures: readonly Erasure[]): Promise<Check | undefined> {
  try {
    const receipts = await readReceiptFiles(await listReceiptFiles(dir))
    const unknown = receipts.find((receipt) => !isKnown(receipt, erasures))
    if (!unknown) return undefined
    const text = `the database does not have receipt ${unknown.number} of an erasure: it is older, and may have again what was erased`
    return fail('Erasures', text, 'Run `npx sluice erase reapply`.')
  } catch (error) {
    const advice = 'Put the file back as it was, or take it away: `npx sluice erase verify` says more.'
    return fail('Erasures', describeError(error).message, advice)
  }
}
