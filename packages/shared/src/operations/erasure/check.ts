import { type Db, listErasures } from '../../db/index.ts'
import { type Check, fail, ok, warn } from '../../runtime/index.ts'
import { hashOfReceipt, readReceipt } from './receipt.ts'
import { listReceiptFiles, readReceiptFiles } from './receipt-files.ts'

/**
 * Checks that erasures have ended, and that the database is not older than the newest receipt.
 *
 * @param dir the folder of receipts
 */
export async function checkErasures(db: Db, dir: string | undefined): Promise<Check[]> {
  // If the schema is missing, another check says so.
  const erasures = await listErasures(db).catch(() => undefined)
  if (!erasures) return []
  const known = new Set(
    erasures.flatMap(({ receipt }) => {
      const read = readReceipt(receipt)
      return read ? [hashOfReceipt(read)] : []
    }),
  )
  const newest = (dir === undefined ? [] : await listReceiptFiles(dir)).at(-1)
  const [receipt] = newest === undefined ? [] : await readReceiptFiles([newest])
  if (receipt && !known.has(hashOfReceipt(receipt))) {
    const text = `the database does not have receipt ${receipt.number} of an erasure: it is older, and may have again what was erased`
    return [fail('Erasures', text, 'Run `sluice erase reapply`.')]
  }
  const open = erasures.filter((erasure) => erasure.receipt === null)
  if (open.length > 0) {
    const numbers = open.map(({ n }) => n).join(', ')
    return [warn('Erasures', `not ended: ${numbers}`, 'Run the same `sluice erase` again.')]
  }
  return erasures.length === 0 ? [] : [ok('Erasures', `${erasures.length}, all with receipts`)]
}
