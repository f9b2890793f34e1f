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
import { countHandled } from './count.ts'
import type { Gate } from './gate.ts'
import { isolate } from './isolate.ts'

const COMPLETED: HandleResult = { kind: 'completed' }
const UNREADABLE = 'The job carries no envelope that this version knows.'
/** Transactions at once, whatever the number of shards. */
const TRANSACTIONS = 4

/**
 * Handles jobs of the queue: those that come together land in one transaction. A job is completed only after its event,
 * or its dead letter, is committed; a crash in between runs it again, which changes nothing.
 */
export function createConsume(deps: {
  db: Db
  gate: Gate
  metrics: Metrics
}): (jobs: readonly Incoming[]) => Promise<HandleResult[]> {
  const { db, gate, metrics } = deps
  const turns = createBatcher<readonly Delivery[], PromiseSettledResult<Landed>[]>({
    maxItems: 1,
    concurrency: TRANSACTIONS,
    run: (batches) => Promise.allSettled(batches.map((deliveries) => landBatch(db, deliveries))),
  })

  async function bury(job: Incoming, reason: DeadLetterReason, error: unknown): Promise<HandleResult> {
    const letter = { jobId: job.jobId, reason, error: describeError(error), attempts: job.attempt }
    await db.transaction((connection) =>
      writeDeadLetters(connection, [{ ...letter, envelope: JSON.stringify(job.data) }]),
    )
    failpoint('worker-after-dead-letter')
    metrics.handled.inc({ via: 'redis', outcome: 'dead_letter' })
    return COMPLETED
  }

  /** @param error why it has not landed; undefined: it carries no envelope */
  async function settle(job: Incoming, error?: unknown): Promise<HandleResult> {
    if (error === undefined) return bury(job, 'unreadable', new Error(UNREADABLE))
    const failure = classifyFailure(error)
    if (failure === 'infrastructure') throw error
    if (failure === 'event') return bury(job, 'rejected_by_database', error)
    if (job.isLastAttempt) return bury(job, 'attempts_exhausted', error)
    metrics.handled.inc({ via: 'redis', outcome: 'retried' })
    return { kind: 'failed', error }
  }

  /** Where a store is away the job waits, without using up an attempt. */
  function putOff(error: unknown): HandleResult {
    if (classifyFailure(error) !== 'infrastructure') return { kind: 'failed', error }
    metrics.handled.inc({ via: 'redis', outcome: 'delayed' })
    return { kind: 'delayed', ms: gate.failed(error) }
  }

  return async (jobs) => {
    failpoint('worker-after-claim')
    const deliveries = new Map<Incoming, Delivery>()
    for (const job of jobs) {
      const envelope = readEnvelope(job.data)
      if (envelope) {
        deliveries.set(job, { jobId: job.jobId, envelope, via: 'redis', duplicates: 0, replayOf: null })
      }
    }
    const landed = deliveries.size > 0 ? await turns.add([...deliveries.values()]) : []
    if (landed.some(({ status }) => status === 'fulfilled')) {
      failpoint('worker-after-commit')
      gate.succeeded()
    }
    countHandled(
      metrics,
      'redis',
      [...deliveries.values()].flatMap(({ envelope }, index) => {
        const outcome = landed[index]
        return outcome?.status === 'fulfilled' ? [{ outcome: outcome.value, receivedAt: envelope.at }] : []
      }),
    )
    const outcomes = new Map([...deliveries.keys()].map((job, index) => [job, landed[index]]))
    return Promise.all(
      jobs.map((job) => {
        const outcome = outcomes.get(job)
        return outcome?.status === 'fulfilled' ? COMPLETED : settle(job, outcome?.reason).catch(putOff)
      }),
    )
  }
}

/** One transaction for all, else the bad ones alone, and these once more without what jsonb may refuse. */
async function landBatch(db: Db, deliveries: readonly Delivery[]): Promise<PromiseSettledResult<Landed>[]> {
  const run = (batch: readonly Delivery[]) =>
    db.transaction((connection, now) => landDeliveries(connection, batch, { now }))
  const results = await isolate(deliveries, run)
  return Promise.all(
    results.map(async (result, index) => {
      if (result.status === 'fulfilled' || classifyFailure(result.reason) !== 'event') return result
      const again = [deliveries[index] as Delivery]
      const [settled] = await isolate(again, (batch) =>
        db.transaction((connection, now) => landDeliveries(connection, batch, { withoutBody: true, now })),
      )
      return settled as PromiseSettledResult<Landed>
    }),
  )
}
