import {
  classifyFailure,
  type Db,
  type DeadLetterReason,
  type Delivery,
  type Landed,
  landDeliveries,
  writeDeadLetters,
} from '@sluice/shared/db'
import { readEnvelope } from '@sluice/shared/idwise'
import type { HandleResult, Incoming } from '@sluice/shared/queue'
import { createBatcher, describeError, failpoint, type Metrics } from '@sluice/shared/runtime'
import type { Gate } from './gate.ts'
import { isolate } from './isolate.ts'

const BATCH = Number(process.env.ZB ?? 250)
const TRANSACTIONS = Number(process.env.ZT ?? 2)

/**
 * Handles jobs of the queue: jobs under way at the same time land in one transaction. A job is completed only after
 * its event, or its dead letter, is committed; a crash in between runs it again, which changes nothing.
 */
export function createConsume(deps: {
  db: Db
  gate: Gate
  metrics: Metrics
}): (job: Incoming) => Promise<HandleResult> {
  const { db, gate, metrics } = deps
  const batcher = createBatcher<Delivery, Landed>({
    maxItems: BATCH,
    concurrency: TRANSACTIONS,
    run: (deliveries) => landBatch(db, deliveries),
  })

  async function bury(job: Incoming, reason: DeadLetterReason, error: unknown): Promise<HandleResult> {
    const letter = { jobId: job.jobId, reason, error: describeError(error), attempts: job.attempt }
    await db.transaction((connection) =>
      writeDeadLetters(connection, [{ ...letter, envelope: JSON.stringify(job.data) }]),
    )
    failpoint('worker-after-dead-letter')
    metrics.handled.inc({ via: 'redis', outcome: 'dead_letter' })
    return { kind: 'completed' }
  }

  async function handle(job: Incoming): Promise<HandleResult> {
    failpoint('worker-after-claim')
    const envelope = readEnvelope(job.data)
    if (!envelope)
      return bury(job, 'unreadable', new Error('The job carries no envelope that this version knows.'))
    try {
      const outcome = await batcher.add({
        jobId: job.jobId,
        envelope,
        via: 'redis',
        duplicates: 0,
        replayOf: null,
      })
      failpoint('worker-after-commit')
      metrics.handled.inc({ via: 'redis', outcome })
      if (outcome === 'landed') metrics.landSeconds.observe((Date.now() - envelope.at) / 1000)
      gate.succeeded()
      return { kind: 'completed' }
    } catch (error) {
      const failure = classifyFailure(error)
      if (failure === 'infrastructure') throw error
      if (failure === 'event') return bury(job, 'rejected_by_database', error)
      if (job.isLastAttempt) return bury(job, 'attempts_exhausted', error)
      metrics.handled.inc({ via: 'redis', outcome: 'retried' })
      throw error
    }
  }

  return async (job) => {
    try {
      return await handle(job)
    } catch (error) {
      if (classifyFailure(error) !== 'infrastructure') throw error
      metrics.handled.inc({ via: 'redis', outcome: 'delayed' })
      return { kind: 'delayed', ms: gate.failed(error) }
    }
  }
}

/** One transaction for all, else the bad ones alone, and these once more without the column that jsonb may refuse. */
async function landBatch(db: Db, deliveries: readonly Delivery[]): Promise<PromiseSettledResult<Landed>[]> {
  const run = (batch: readonly Delivery[]) =>
    db.transaction((connection) => landDeliveries(connection, batch))
  const results = await isolate(deliveries, run)
  return Promise.all(
    results.map(async (result, index) => {
      if (result.status === 'fulfilled' || classifyFailure(result.reason) !== 'event') return result
      const again = [deliveries[index] as Delivery]
      const [settled] = await isolate(again, (batch) =>
        db.transaction((connection) => landDeliveries(connection, batch, { withoutBody: true })),
      )
      return settled as PromiseSettledResult<Landed>
    }),
  )
}
