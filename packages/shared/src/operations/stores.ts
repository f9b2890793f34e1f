import type { Db } from '../db/index.ts'
import type { QueueAdmin, QueueLocation } from '../queue/index.ts'

/** The stores that an operation works on. Without Redis, `queue` and `location` are undefined. */
export type Stores = {
  readonly db: Db
  readonly queue: QueueAdmin | undefined
  readonly location: QueueLocation | undefined
}
