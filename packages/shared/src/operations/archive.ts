import { contentOf, type Db, readLines } from '../db/index.ts'
import { release } from '../runtime/index.ts'
import { type Manifest, removeArchive, verifyArchive, writeArchive } from './archive-files.ts'

/** Somebody's data may be erased while it is written. */
const TRIES = 2

/**
 * Makes sure that a folder has an archive of a table of events that holds each of them, and reads it back.
 *
 * The table is counted after the file has its name. So if somebody's data is erased meanwhile, either the numbers differ
 * and the file goes, or the erasure finds the file.
 *
 * @throws if the file cannot be written, or is not what was written
 */
export async function ensureArchive(
  { pool }: Db,
  dir: string,
  table: string,
  stop: AbortSignal,
): Promise<Manifest> {
  const known = await archiveOf(pool, dir, table, stop)
  if (known) return known
  for (let tries = 0; tries < TRIES; tries++) {
    await writeArchive(dir, table, linesOf(pool, table, stop), release())
    const written = await archiveOf(pool, dir, table, stop)
    if (written) return written
    await removeArchive(dir, table)
  }
  throw new Error(`the archive of ${table} did not hold what the table holds, and was removed`)
}

/** The archive of a table; undefined if it is missing, damaged, or holds other events. */
async function archiveOf(
  pool: Db['pool'],
  dir: string,
  table: string,
  stop: AbortSignal,
): Promise<Manifest | undefined> {
  const found = await verifyArchive(dir, table, stop)
  if (!found) return undefined
  const { events, keys } = await contentOf(pool, table, stop)
  return events === found.manifest.events && keys === found.keys ? found.manifest : undefined
}

async function* linesOf(pool: Db['pool'], table: string, stop: AbortSignal): AsyncGenerator<string> {
  for await (const lines of readLines(pool, table)) {
    stop.throwIfAborted()
    yield* lines
  }
}
