import { createBodyMatcher, type Wanted } from '../../db/index.ts'
import { listArchives, removeUnfinished, rewriteArchive } from '../archive-files.ts'

/** Leaves events out of the archives of dropped partitions. @returns how many */
export async function rewriteArchives(dir: string, wanted: Wanted): Promise<number> {
  const isWanted = createBodyMatcher(wanted)
  await removeUnfinished(dir)
  let removed = 0
  for (const partition of await listArchives(dir)) {
    removed += await rewriteArchive(
      dir,
      partition,
      ({ environment, raw }) => !isWanted(String(environment), Buffer.from(String(raw), 'base64')),
    )
  }
  return removed
}
