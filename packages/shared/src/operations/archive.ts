import { contentOf, type Db, readLines } from '../db/index.ts'
import { release } from '../runtime/index.ts'
import { type Manifest, verifyArchive, writeArchive } from './archive-files.ts'

/**
 * Makes sure that a folder has an archive of a table of events that holds each of them, and reads it back.
 *
 * The table is counted after the file has its name: so if somebody's data is erased meanwhile, either the numbers
 * differ and the archive is written anew, or the erasure finds the file.
 *
 * @throws if the file cannot be written, or is not what was written
 */
export async function ensureArchive({ pool }: Db, dir: string, table: string): Promise<Manifest> {
  const known = await archiveOf(pool, dir, table)
  if (known) return known
  await writeArchive(dir, table, linesOf(pool, table), release())
  const written = await archiveOf(pool, dir, table)
  if (!written)
    throw new Error(`the archive of ${table} does not hold what the table holds; it is written anew`)
  return written
}

/** The archive of a table; undefined if it is missing, damaged, or holds other events. */
async function archiveOf(pool: Db['pool'], dir: string, table: string): Promise<Manifest | undefined> {
  const found = await verifyArchive(dir, table)
  if (!found) return undefined
  const { events, keys } = await contentOf(pool, table)
  return events === found.manifest.events && keys === found.keys ? found.manifest : undefined
}

async function* linesOf(pool: Db['pool'], table: string): AsyncGenerator<string> {
  for await (const lines of readLines(pool, table)) yield* lines
}
