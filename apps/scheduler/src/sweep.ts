import { countCrashes, countRedeliveries, type Db, withLease, writeDeadLetters } from '@sluice/shared/db'
import type { FailedJob, QueueAdmin } from '@sluice/shared/queue'
import { describeError, type Log, pause } from '@sluice/shared/runtime'

const COLLAPSED_EVERY_MS = 1_000
const FAILED_EVERY_MS = 15_000
const OLD_EVERY_MS = 60_000
const RESCUE_EVERY_MS = 30_000
const BODIES_EVERY_MS = 10_000

/** Longer than any transaction of a worker may last. */
const CLAIM_IS_DEAD_MS = 20_000
const CRASHES_EVERY_MS = 5_000

/**
 * Rounds beside the flow of events: deliveries that collapsed in the queue are counted on their events' rows, and
 * what BullMQ failed by itself is copied to `dead_letters`, then removed; jobs that are in no list wait again; the bodies
 * of jobs go ten minutes after their end, the jobs an hour after it; crashes are counted on the rows of the inbox that
 * were under way. One worker at a time does each.
 */
export function startSweeper({
  db,
  admin,
  log,
}: {
  db: Db
  admin: QueueAdmin | undefined
  log: Log
}): AsyncDisposable {
  const stop = new AbortController()
  const round = (everyMs: number, work: () => Promise<void>) => repeat(everyMs, stop.signal, log, work)
  const rounds = [
    round(CRASHES_EVERY_MS, async () => void (await countCrashes(db.pool, CLAIM_IS_DEAD_MS))),
    ...(admin
      ? [
          round(COLLAPSED_EVERY_MS, () => noteRedeliveries({ db, admin })),
          round(FAILED_EVERY_MS, () => sweepFailed({ db, admin, log })),
          round(RESCUE_EVERY_MS, () => rescueLost({ db, admin, log })),
          round(BODIES_EVERY_MS, () => withLease(db, 'sluice bodies', () => admin.stripBodies())),
          round(OLD_EVERY_MS, () => withLease(db, 'sluice old jobs', () => admin.removeOldJobs())),
        ]
      : []),
  ]
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(rounds)
      // What was landed by the last jobs of this process, if both stores still answer.
      if (admin) await noteRedeliveries({ db, admin }).catch(() => {})
    },
  }
}

async function repeat(
  everyMs: number,
  stop: AbortSignal,
  log: Log,
  round: () => Promise<void>,
): Promise<void> {
  while (!stop.aborted) {
    await round().catch((error) => log.debug({ error: describeError(error) }, 'sweep failed; trying again'))
    await pause(everyMs * (0.8 + Math.random() * 0.4), stop)
  }
}

function noteRedeliveries({ db, admin }: { db: Db; admin: QueueAdmin }): Promise<void> {
  return withLease(db, 'sluice collapsed', async () => {
    await admin.moveRedeliveries((counts) =>
      db.transaction((connection) => countRedeliveries(connection, counts)),
    )
  })
}

function sweepFailed({ db, admin, log }: { db: Db; admin: QueueAdmin; log: Log }): Promise<void> {
  return withLease(db, 'sluice sweep', async () => {
    const swept = await admin.sweepFailed((job) =>
      db.transaction((connection) => writeDeadLetters(connection, [letterOf(job)])),
    )
    if (swept > 0) log.warn({ jobs: swept }, 'jobs that the queue gave up are dead letters now')
  })
}

function rescueLost({ db, admin, log }: { db: Db; admin: QueueAdmin; log: Log }): Promise<void> {
  return withLease(db, 'sluice lost jobs', async () => {
    const { back, forgotten } = await admin.rescueLost()
    if (back > 0) log.warn({ jobs: back }, 'jobs that were in no list of the queue wait again')
    if (forgotten > 0) log.warn({ jobs: forgotten }, 'jobs were listed in the queue whose hashes are gone')
  })
}

function letterOf({ jobId, data, reason, isStalled, attempts }: FailedJob) {
  return {
    jobId,
    reason: isStalled ? ('worker_crashed' as const) : ('attempts_exhausted' as const),
    error: { name: isStalled ? 'WorkerCrashed' : 'JobFailed', message: reason },
    attempts,
    envelope: data,
  }
}
