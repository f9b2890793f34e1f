import { type Db, withLease } from '@sluice/shared/db'
import { type AlertSettings, type RetentionPolicy, startAlertWatch } from '@sluice/shared/operations'
import { createQueueAdmin, type QueueLocation } from '@sluice/shared/queue'
import {
  DEFAULT_SOURCES,
  describeError,
  every,
  type Health,
  type Log,
  type Metrics,
  type Source,
} from '@sluice/shared/runtime'
import { alerts } from './duties/alerts.ts'
import { completedBodies } from './duties/completed-bodies.ts'
import { crashes } from './duties/crashes.ts'
import { drift } from './duties/drift.ts'
import { failedJobs } from './duties/failed-jobs.ts'
import { gauges } from './duties/gauges.ts'
import { lostJobs } from './duties/lost-jobs.ts'
import { oldJobs } from './duties/old-jobs.ts'
import { oldRecords } from './duties/old-records.ts'
import { operations } from './duties/operations.ts'
import { partitions } from './duties/partitions.ts'
import { redeliveries } from './duties/redeliveries.ts'
import { refusals } from './duties/refusals.ts'
import { retention } from './duties/retention.ts'
import type { Duty } from './duty.ts'

/** The first rounds wait so long for a connection to Redis. */
const CONNECT_LIMIT_MS = 1_000

const NEVER = new AbortController().signal
const DUTIES = [crashes, refusals, oldRecords, operations, drift]
const QUEUE_DUTIES = [redeliveries, failedJobs, lostJobs, completedBodies, oldJobs]

/**
 * Does all duties, each in its own rhythm and under its lease. Any number of schedulers may run at the same time.
 *
 * @param deps.queue undefined without Redis: then there are no duties of the queue
 * @returns disposing waits for the duties under way
 */
export function startScheduler(deps: {
  db: Db
  queue: QueueLocation | undefined
  retention: RetentionPolicy
  /** Without a channel and a heartbeat nothing is watched for. */
  alerts?: AlertSettings | undefined
  sources?: readonly Source[]
  metrics: Metrics
  log: Log
}): AsyncDisposable & { health(): Health } {
  const { db, queue, log, sources = DEFAULT_SOURCES } = deps
  const admin = queue && createQueueAdmin(queue, log)
  const connected = admin?.ready(CONNECT_LIMIT_MS)
  const { alerts: settings, metrics } = deps
  const isTelling = settings && (settings.channels.length > 0 || settings.heartbeat !== undefined)
  const watch = isTelling
    ? startAlertWatch({ db, queue: admin, sources, metrics, log }, settings, 'scheduler')
    : undefined
  const duties = [
    ...DUTIES.map((create) => create({ db, log })),
    partitions(deps),
    gauges({ db, log, metrics, admin, sources, tells: watch !== undefined }),
    ...(watch ? [alerts(watch)] : []),
    ...(deps.retention.terms ? [retention(deps)] : []),
    ...(admin ? QUEUE_DUTIES.map((create) => create({ db, log, admin })) : []),
  ]
  const failing = new Map<Duty, string>()

  async function perform(duty: Duty, stop: AbortSignal): Promise<void> {
    await connected
    const run = () => duty.run(stop)
    try {
      await (duty.lease ? withLease(db, duty.lease, run) : run())
    } catch (error) {
      // A duty that takes long ends early with the scheduler.
      if (!stop.aborted) throw error
    }
    if (failing.delete(duty) && failing.size === 0) log.info('all duties are done again')
  }
  /** One line for an outage, in which most duties fail. */
  function failed(duty: Duty, error: unknown): void {
    const described = describeError(error)
    log[failing.size === 0 ? 'warn' : 'debug'](
      { duty: duty.name, error: described },
      'a duty failed; it is tried again',
    )
    failing.set(duty, described.message)
  }

  const loops = duties.map((duty) =>
    every(duty.everyMs, (stop) => perform(duty, stop), { onError: (error) => failed(duty, error) }),
  )
  return {
    health: () => ({
      ready: failing.size === 0,
      failing: Object.fromEntries([...failing].map(([duty, message]) => [duty.name, message])),
    }),
    async [Symbol.asyncDispose]() {
      await Promise.all(loops.map((loop) => loop[Symbol.asyncDispose]()))
      await watch?.[Symbol.asyncDispose]()
      // If a store is away, the next scheduler does it.
      await Promise.all(
        duties.filter((duty) => duty.isDoneAtEnd).map((duty) => perform(duty, NEVER).catch(() => {})),
      )
      await admin?.[Symbol.asyncDispose]()
    },
  }
}
