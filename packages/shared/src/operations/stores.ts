import type { Db } from '../db/index.ts'
import type { QueueAdmin, QueueLocation } from '../queue/index.ts'

/** The stores that an operation works on. Without Redis, `queue` and `location` are undefined. */
export type Stores = {
  readonly db: Db
  readonly queue: QueueAdmin | undefined
  readonly location: QueueLocation | undefined
  readonly copies?: Copies
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
