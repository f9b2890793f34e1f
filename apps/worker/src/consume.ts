import {
  type DeadLetterReason,
  type Job,
  type LandingOutcome,
  type TransactionLimits,
  writeDeadLetters,
} from '@sluice/shared/db'
import { readEnvelope } from '@sluice/shared/envelope'
import type { HandleResult, QueueJob } from '@sluice/shared/queue'
import { createBatcher, describeError, failpoint } from '@sluice/shared/runtime'
import { bisect, HALVED } from './bisect.ts'
import { countHandled } from './count.ts'
import { land, type Means, setApart, takeTurn, tryAtLast } from './land.ts'
import { divide } from './slow-journeys.ts'
import type { Verdict } from './verdict.ts'

const COMPLETED: HandleResult = { kind: 'completed' }
const UNREADABLE = 'The job carries no envelope that this version knows.'
/** Transactions at once, whatever the number of shards. */
const TRANSACTIONS = 4
/** How long an event waits while others land, at least. */
const WAIT_MS = 1_000

/** `waits`: through no fault of its own, at least for so long where `ms` is given. */
type Waits = { readonly status: 'waits'; readonly ms?: number; readonly error?: unknown }
type Tried = PromiseSettledResult<LandingOutcome> | Waits

/**
 * Handles jobs of the queue: those that come together land in one transaction. A job is completed only after its event,
 * or its dead letter, is committed; a crash in between runs it again, which changes nothing.
 */
export function createConsume(means: Means): (jobs: readonly QueueJob[]) => Promise<HandleResult[]> {
  const { db, circuit, metrics, judge, apart, announcer } = means
  const run = (deliveries: readonly Job[], limits: TransactionLimits) => land(means, deliveries, limits)
  const turns = createBatcher<readonly Job[], PromiseSettledResult<LandingOutcome>[]>({
    maxItems: 1,
    concurrency: TRANSACTIONS,
    run: (batches) => Promise.allSettled(batches.map((deliveries) => bisect(deliveries, run))),
  })

  /** Tries each where it belongs, and notes what came of it. */
  async function tryAll(deliveries: readonly Job[], tried: Map<Job, Tried>): Promise<void> {
    const held = await judge.heldBack(deliveries)
    for (const [delivery, reason] of held) tried.set(delivery, { status: 'waits', ...reason })
    const free = held.size > 0 ? deliveries.filter((delivery) => !held.has(delivery)) : deliveries
    const { common, groups } = divide(apart, free, (delivery) => delivery)
    const note = (some: readonly Job[], results: readonly Tried[]) => {
      for (const [index, delivery] of some.entries()) tried.set(delivery, results[index] as Tried)
    }
    await Promise.all([
      common.length > 0 && turns.add(common).then((results) => note(common, results)),
      ...[...groups].map(async ([group, some]) => note(some, await landApart(group, some))),
    ])
  }

  async function landApart(group: string, deliveries: readonly Job[]): Promise<Tried[]> {
    const results = await takeTurn(means, group, deliveries, run)
    if (typeof results === 'number') return deliveries.map(() => ({ status: 'waits', ms: results }))
    for (const [index, result] of results.entries()) {
      if (result.status === 'rejected') triedApart.add(deliveries[index] as Job)
    }
    return results
  }
  const triedApart = new WeakSet<Job>()

  async function bury(job: QueueJob, reason: DeadLetterReason, error: unknown): Promise<HandleResult> {
    const letter = { jobId: job.jobId, reason, error: describeError(error), attempts: job.attempt }
    await announcer((announced) =>
      db.landingTransaction((connection) =>
        writeDeadLetters(connection, [{ ...letter, envelope: JSON.stringify(job.data) }], { announced }),
      ),
    )
    failpoint('worker-after-dead-letter')
    metrics.handled.inc({ via: 'redis', outcome: 'dead_letter' })
    return COMPLETED
  }

  /** @returns undefined where it is to wait */
  async function settle(job: QueueJob, delivery: Job, error: unknown): Promise<HandleResult | undefined> {
    if (!triedApart.has(delivery) && setApart(means, error, delivery)) return undefined
    const { isLastAttempt } = job
    const verdict = await judge.judge(error, delivery, isLastAttempt)
    if (verdict.kind !== 'bury') return act(job, verdict, error)
    const failed = await tryAtLast(means, { delivery, isLastAttempt }, async (options) => {
      const [outcome] = await land(means, [delivery], HALVED, options)
      countHandled(metrics, 'redis', [
        { outcome: outcome as LandingOutcome, receivedAt: delivery.envelope.at },
      ])
    })
    return failed ? act(job, failed.verdict, failed.error) : COMPLETED
  }

  async function act(job: QueueJob, verdict: Verdict, error: unknown): Promise<HandleResult | undefined> {
    switch (verdict.kind) {
      case 'wait':
        return undefined
      case 'retry':
        metrics.handled.inc({ via: 'redis', outcome: 'retried' })
        return { kind: 'failed', error }
      case 'bury':
        return bury(job, verdict.reason, error)
      default:
        return verdict satisfies never
    }
  }

  return async (jobs) => {
    failpoint('worker-after-claim')
    const deliveries = new Map<QueueJob, Job>()
    for (const job of jobs) {
      const envelope = readEnvelope(job.data)
      if (envelope) {
        deliveries.set(job, { jobId: job.jobId, envelope, via: 'redis', duplicates: 0, replayOf: null })
      }
    }
    const tried = new Map<Job, Tried>()
    if (deliveries.size > 0) await tryAll([...deliveries.values()], tried)
    const landed = [...tried].flatMap(([{ envelope }, result]) =>
      result.status === 'fulfilled' ? [{ outcome: result.value, receivedAt: envelope.at }] : [],
    )
    if (landed.length > 0) {
      failpoint('worker-after-commit')
      circuit.succeeded()
    }
    countHandled(metrics, 'redis', landed)

    let circuitMs: number | undefined
    function wait(error: unknown, ms = WAIT_MS * (1 + Math.random())): HandleResult {
      metrics.handled.inc({ via: 'redis', outcome: 'delayed' })
      if (landed.length === 0 && error !== undefined) circuitMs ??= circuit.failed(error)
      return { kind: 'delayed', ms: circuitMs ?? ms }
    }
    async function resultOf(job: QueueJob): Promise<HandleResult> {
      const delivery = deliveries.get(job)
      const result = delivery && tried.get(delivery)
      try {
        if (!delivery || !result) return await bury(job, 'unreadable', new Error(UNREADABLE))
        if (result.status === 'fulfilled') return COMPLETED
        if (result.status === 'waits') return wait(result.error, result.ms)
        return (await settle(job, delivery, result.reason)) ?? wait(result.reason)
      } catch (error) {
        // What cannot be buried waits.
        return wait(error)
      }
    }
    return Promise.all(jobs.map(resultOf))
  }
}
