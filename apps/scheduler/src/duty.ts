import type { Db } from '@sluice/shared/db'
import type { RetentionPolicy } from '@sluice/shared/operations'
import type { QueueAdmin } from '@sluice/shared/queue'
import type { Log, Metrics, Source } from '@sluice/shared/runtime'

/** Work beside the flow of events that is done again and again. */
export type Duty = {
  /** For the log and the health of the scheduler. */
  readonly name: string
  readonly everyMs: number
  /**
   * The name of a lease, if one process at a time may do this. It is stored in the database, so it must not change: a
   * scheduler of the release before would do the duty at the same time.
   */
  readonly lease?: string
  /** Whether it is done once more when the scheduler ends. */
  readonly isDoneAtEnd?: true
  /** @param stop is aborted when the scheduler ends, which waits for the duty */
  run(stop: AbortSignal): Promise<void>
}

export type DutyDeps = { readonly db: Db; readonly log: Log }

/** For the duties of partitions and retention. */
export type RetentionDutyDeps = DutyDeps & { readonly metrics: Metrics; readonly retention: RetentionPolicy }

/** For duties of the queue. */
export type QueueDutyDeps = DutyDeps & { readonly admin: QueueAdmin }

/** For the gauges of the stores; `admin` is undefined without Redis. */
export type GaugeDutyDeps = DutyDeps & {
  readonly metrics: Metrics
  readonly admin: QueueAdmin | undefined
  readonly sources: readonly Source[]
  /** Whether this process tells people of incidents: without anybody who does there are none. */
  readonly tells?: boolean
}
