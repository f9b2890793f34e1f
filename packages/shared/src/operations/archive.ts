import { contentOf, type Db, readLines } from '../db/index.ts'
import { release } from '../runtime/index.ts'
import { type Manifest, removeArchive, verifyArchive, writeArchive } from './archive-files.ts'

/** Somebody's data may be erased while it is written. */
const TRIES = 2

type Place = { readonly dir: string; readonly table: string; readonly stop: AbortSignal }

/**
 * Makes sure that a folder has an archive of a partition that holds each of its events, and reads it back.
 *
 * The table is counted after the file has its name. So if somebody's data is erased meanwhile, either the numbers
 * differ and the file goes, or the erasure finds the file.
 *
 * @returns how many events it holds
 * @throws if the file cannot be written, or is not what was written
 */
export async function archivePartition({ pool }: Db, place: Place): Promise<number> {
  const { dir, table, stop } = place
  const known = await completeArchive(pool, place)
  if (known) return known.events
  for (let tries = 0; tries < TRIES; tries++) {
    await writeArchive(dir, table, linesOf(pool, table, stop), release())
    const written = await completeArchive(pool, place)
    if (written) return written.events
    await removeArchive(dir, table)
  }
  throw new Error(`the archive of ${table} did not hold what the table holds, and was removed`)
}

/**
 * The same for a partition that is detached. Its archive was complete then, and may have fewer events by now, since an
 * erasure leaves some out. So it is only written anew if it is not what its manifest says.
 */
export async function keepArchive(db: Db, place: Place): Promise<void> {
  if (!(await verifyArchive(place.dir, place.table, place.stop))) await archivePartition(db, place)
}

/** The archive of a table; undefined if it is missing, damaged, or holds other events. */
async function completeArchive(pool: Db['pool'], { dir, table, stop }: Place): Promise<Manifest | undefined> {
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
