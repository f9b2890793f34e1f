import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Db, listErasures } from '../../db/index.ts'
import { parseJson } from '../../envelope.ts'
import { UserError } from '../../runtime/index.ts'
import { hashOfReceipt, type Receipt, readReceipt } from './receipt.ts'

const NAME = /^receipt-\d{6,}(-[0-9a-f]{8})?\.json$/

/** The receipts that the database has. */
export async function receiptsOf(db: Db): Promise<Receipt[]> {
  return (await listErasures(db)).flatMap(({ receipt }) => readReceipt(receipt) ?? [])
}

/**
 * Writes the receipts that the folder does not have yet, each as a file of its own. If the database was restored, there
 * may be another one with the same number: both stay.
 */
export async function writeReceiptFiles(dir: string, receipts: readonly Receipt[]): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const there = new Set(await readdir(dir))
  for (const receipt of receipts) {
    const name = `receipt-${String(receipt.number).padStart(6, '0')}`
    const hash = hashOfReceipt(receipt)
    const other = `${name}-${hash.slice(0, 8)}.json`
    if (!there.has(`${name}.json`)) await writeReceiptFile(join(dir, `${name}.json`), receipt)
    else if (!there.has(other) && (await hashOfFile(join(dir, `${name}.json`))) !== hash) {
      await writeReceiptFile(join(dir, other), receipt)
    }
  }
}

async function hashOfFile(path: string): Promise<string | undefined> {
  const receipt = readReceipt(parseJson(await readFile(path, 'utf8')))
  return receipt && hashOfReceipt(receipt)
}

export async function writeReceiptFile(path: string, receipt: Receipt): Promise<void> {
  await using file = await open(`${path}.new`, 'w', 0o600)
  await file.writeFile(`${JSON.stringify(receipt, null, 2)}\n`)
  await file.sync()
  await rename(`${path}.new`, path)
}

/** The receipt files of a folder, in their order; none if there is no such folder. */
export async function listReceiptFiles(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => join(dir, name))
}

/** @throws UserError if a file is no receipt */
export function readReceiptFiles(paths: readonly string[]): Promise<Receipt[]> {
  return Promise.all(
    paths.map(async (path) => {
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        throw new UserError(`${path} cannot be read (${error.code}).`)
      })
      const receipt = readReceipt(parseJson(text))
      if (!receipt) throw new UserError(`${path} is no receipt of an erasure, or was changed.`)
      return receipt
    }),
  )
}
