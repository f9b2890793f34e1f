import { type Db, readEnvironments } from '../db/index.ts'
import type { QueueAdmin, QueueLocation } from '../queue/index.ts'
import { namesOf, type Source } from '../runtime/index.ts'

/** The stores that an operation works on. Without Redis, `queue` and `location` are undefined. */
export type Stores = {
  readonly db: Db
  readonly queue: QueueAdmin | undefined
  readonly location: QueueLocation | undefined
  readonly copies?: Copies
  /** The sources that are configured; `live` and `sandbox` if none are given. */
  readonly sources?: readonly Source[] | undefined
}

/** What is kept beside the stores. */
type Copies = {
  /** The folder of the archives of dropped partitions. */
  readonly archives?: string | undefined
  /** The folder of the receipts of erasures. */
  readonly receipts?: string | undefined
  /** For how many days backups are kept. */
  readonly backupDays?: number | undefined
}

/** The names of the sources that are configured, and of all others of which there are events. */
export async function knownEnvironments({
  db,
  sources = [],
}: Pick<Stores, 'db' | 'sources'>): Promise<string[]> {
  return [...new Set([...namesOf(sources), ...(await readEnvironments(db))])]
}
