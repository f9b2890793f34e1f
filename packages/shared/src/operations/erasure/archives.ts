import {
  createBodyMatcher,
  type Db,
  type Erased,
  type Remnant,
  readRetention,
  remnantOf,
  type Wanted,
} from '../../db/index.ts'
import { parseEvent } from '../../idwise/index.ts'
import { UserError } from '../../runtime/index.ts'
import { listArchives, readArchive, removeUnfinished, rewriteArchive, stampOf } from '../archive-files.ts'

/** Archives that were searched already, as they were then. */
export type SearchedArchives = Map<string, string | undefined>

/** Leaves events out of the archives of dropped partitions. @returns how many */
export async function rewriteArchives(
  dir: string,
  wanted: Wanted,
  searched: SearchedArchives = new Map(),
): Promise<number> {
  const isWanted = createBodyMatcher(wanted)
  await removeUnfinished(dir)
  let removed = 0
  for (const partition of await listArchives(dir)) {
    const stamp = await stampOf(dir, partition)
    if (stamp === undefined || searched.get(partition) === stamp) continue
    removed += await rewriteArchive(dir, partition, (event) => {
      const { environment, raw } = archived(event)
      return !isWanted(environment, raw)
    })
    searched.set(partition, await stampOf(dir, partition))
  }
  return removed
}

/** How many events of what is wanted the archives have. */
export async function countArchived(dir: string, wanted: Wanted): Promise<number> {
  const isWanted = createBodyMatcher(wanted)
  let count = 0
  for await (const { environment, raw } of archivedEvents(dir)) if (isWanted(environment, raw)) count++
  return count
}

/** What the archives have of erased subjects. */
export async function* remnantsInArchives(dir: string, erased: Erased): AsyncGenerator<Remnant> {
  for await (const { environment, raw } of archivedEvents(dir)) {
    yield* remnantOf('archives', environment, parseEvent(raw), erased)
  }
}

type Archived = { readonly environment: string; readonly raw: Buffer }

async function* archivedEvents(dir: string): AsyncGenerator<Archived> {
  for (const partition of await listArchives(dir)) {
    for await (const line of readArchive(dir, partition)) yield archived(JSON.parse(line))
  }
}

function archived({ environment, raw }: Readonly<Record<string, unknown>>): Archived {
  return { environment: String(environment), raw: Buffer.from(String(raw), 'base64') }
}

/**
 * Whether there may be archives that cannot be seen from here.
 *
 * @param dir the folder of the archives, if one is named
 * @throws UserError if dropped events were archived, and the folder is not here
 */
export async function checkArchives({ pool }: Db, dir: string | undefined): Promise<void> {
  const { accepted, droppedBefore } = await readRetention(pool)
  if (!accepted?.archive || droppedBefore === null) return
  if (dir === undefined) {
    throw new UserError(
      'Events were archived before they were dropped: set ARCHIVE_DIR to the folder of the archives.',
    )
  }
  if ((await listArchives(dir)).length === 0) {
    throw new UserError(
      `${dir} has no archive, but events were archived before they were dropped: name their folder.`,
    )
  }
}
