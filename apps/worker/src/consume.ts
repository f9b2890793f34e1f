import {
  type Job,
  type LandingOutcome,
  type LandOptions,
  letterOf,
  type TransactionLimits,
  writeDeadLetters,
} from '@sluice/shared/db'
import type { DeadLetterReason } from '@sluice/shared/disposition'
import { NO_ENVELOPE, readEnvelope } from '@sluice/shared/envelope'
import type { HandleResult, QueueJob } from '@sluice/shared/queue'
import { type BatchTrace, failpoint } from '@sluice/shared/runtime'
import { bisect, HALVED } from './bisect.ts'
import { countBuried, countHandled, traceFailed } from './count.ts'
import { type LandingDeps, land, landInSlot } from './land.ts'
import { createLimit } from './limit.ts'
import { settle, waitingTimeMs } from './settle.ts'
import { divide } from './slow-journeys.ts'

const COMPLETED: HandleResult = { kind: 'completed' }
const ERASED: HandleResult = { kind: 'completed', isErased: true }
/** Transactions at once, whatever the number of shards. */
const TRANSACTIONS = 4

/** `waits`: through no fault of its own, `ms` at least. `hadSlot`: it failed in the slot of its journey. */
type Tried =
  | PromiseFulfilledResult<LandingOutcome>
  | (PromiseRejectedResult & { readonly hadSlot?: boolean })
  | { readonly status: 'waits'; readonly ms: number; readonly error?: unknown }

/**
 * Handles jobs of the queue: jobs that come together land in one transaction. A job is completed only after its event,
 * or its dead letter, is committed. A crash in between runs it again, which changes nothing.
 */
export function createConsume(
  deps: LandingDeps,
): (jobs: readonly QueueJob[], trace?: BatchTrace) => Promise<HandleResult[]> {
  const { circuit, metrics } = deps
  const tryAll = createTryAll(deps)

  return async (queueJobs, trace) => {
    failpoint('worker-after-claim')
    const jobs = readJobs(queueJobs)
    if (trace) for (const { envelope } of jobs.values()) trace.add(envelope.trace)
    const tried = jobs.size > 0 ? await tryAll([...jobs.values()]) : new Map<Job, Tried>()
    const landed = [...tried].flatMap(([{ envelope }, result]) =>
      result.status === 'fulfilled' ? [{ outcome: result.value, receivedAt: envelope.at }] : [],
    )
    if (landed.length > 0) {
      failpoint('worker-after-commit')
      circuit.succeeded()
    }
    countHandled(metrics, 'redis', landed)
    if (trace) traceFailed(trace, landed)

    let circuitMs: number | undefined
    function wait(error: unknown, ms = waitingTimeMs()): HandleResult {
      metrics.handled.inc({ via: 'redis', outcome: 'delayed' })
      if (landed.length === 0 && error !== undefined) circuitMs ??= circuit.failed(error)
      return { kind: 'delayed', ms: circuitMs ?? ms }
    }
    async function resultOf(queueJob: QueueJob): Promise<HandleResult> {
      const job = jobs.get(queueJob)
      const result = job && tried.get(job)
      if (result?.status === 'fulfilled') return result.value === 'erased' ? ERASED : COMPLETED
      if (result?.status === 'waits') {
        if (result.error !== undefined) trace?.failed(result.error)
        return wait(result.error, result.ms)
      }
      try {
        if (!job || !result) {
          trace?.failed({ code: 'unreadable' })
          await bury(deps, queueJob, 'unreadable', new Error(NO_ENVELOPE))
          return COMPLETED
        }
        trace?.failed(result.reason)
        const { kind, error } = await settle(deps, {
          job,
          error: result.reason,
          hadSlot: result.hadSlot === true,
          attempts: queueJob.attempt,
          landAlone: (options) => landAlone(deps, job, options),
          bury: (reason, cause) => bury(deps, queueJob, reason, cause),
        })
        if (kind === 'settled') return COMPLETED
        if (kind === 'wait') return wait(error)
        metrics.handled.inc({ via: 'redis', outcome: 'retried' })
        return { kind: 'failed', error }
      } catch (error) {
        // What cannot be buried waits.
        return wait(error)
      }
    }
    return Promise.all(queueJobs.map(resultOf))
  }
}

/** Those that carry an envelope. */
function readJobs(queueJobs: readonly QueueJob[]): Map<QueueJob, Job> {
  const jobs = new Map<QueueJob, Job>()
  for (const queueJob of queueJobs) {
    const envelope = readEnvelope(queueJob.data)
    if (envelope) {
      jobs.set(queueJob, { jobId: queueJob.jobId, envelope, via: 'redis', duplicates: 0, replayOf: null })
    }
  }
  return jobs
}

/** Tries each job where it belongs: not at all while its shape is held back, in a slot, or together with the others. */
function createTryAll(deps: LandingDeps): (jobs: readonly Job[]) => Promise<Map<Job, Tried>> {
  const limit = createLimit(TRANSACTIONS)
  const run = (jobs: readonly Job[], limits: TransactionLimits) => land(deps, jobs, limits)

  async function landGroup(group: string, jobs: readonly Job[]): Promise<readonly Tried[]> {
    const results = await landInSlot(deps, group, jobs, run)
    if (typeof results === 'number') return jobs.map(() => ({ status: 'waits', ms: results }))
    return results.map((result) => ({ ...result, hadSlot: true }))
  }

  return async (jobs) => {
    const tried = new Map<Job, Tried>()
    const held = await deps.comparison.heldBack(jobs)
    for (const [job, { ms, error }] of held) tried.set(job, { status: 'waits', ms, error })
    const free = held.size > 0 ? jobs.filter((job) => !held.has(job)) : jobs
    const { common, groups } = divide(deps.slowJourneys, free, (job) => job)
    const note = (some: readonly Job[], results: readonly Tried[]) => {
      for (const [index, job] of some.entries()) tried.set(job, results[index] as Tried)
    }
    await Promise.all([
      common.length > 0 && limit(() => bisect(common, run)).then((results) => note(common, results)),
      ...[...groups].map(async ([group, some]) => note(some, await landGroup(group, some))),
    ])
    return tried
  }
}

async function landAlone(deps: LandingDeps, job: Job, options: LandOptions): Promise<void> {
  const [outcome] = await land(deps, [job], HALVED, options)
  countHandled(deps.metrics, 'redis', [{ outcome: outcome as LandingOutcome, receivedAt: job.envelope.at }])
}

async function bury(
  { db, announcing, metrics, erased }: LandingDeps,
  { jobId, data, attempt }: QueueJob,
  reason: DeadLetterReason,
  error: unknown,
): Promise<void> {
  const letter = letterOf({ jobId, envelope: JSON.stringify(data), attempts: attempt }, reason, error)
  const buried = await announcing((announced) =>
    db.landingTransaction(async (connection, _now, erasures) =>
      writeDeadLetters(connection, [letter], { announced, erased: await erased.asOf(connection, erasures) }),
    ),
  )
  failpoint('worker-after-dead-letter')
  countBuried(metrics, 'redis', 1, buried)
}
