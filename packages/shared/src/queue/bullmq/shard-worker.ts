import { pause } from '../../runtime/every.ts'
import type { Log } from '../../runtime/log.ts'
import type { EndStage } from '../../runtime/metrics.ts'
import type { Traces } from '../../runtime/traces.ts'
import type { RedisClient } from '../connection.ts'
import { createWorkerBackend } from './backend.ts'
import { type HandleAll, processBatch } from './batch.ts'
import { createBodies } from './bodies.ts'
import { createJobClaimer } from './claim.ts'
import { EventWorker } from './event-worker.ts'
import { createFinish } from './finish.ts'
import { queueKeys } from './keys.ts'
import { WORKER_OPTIONS } from './options.ts'

/**
 * Batches of a shard start at least so far apart, ms: at a steady trickle each would hold one job, and cost as much as
 * a full one.
 */
const SPACING_MS = 20

/**
 * BullMQ's worker of one shard. It fetches the first job of each batch; `processBatch` claims the others.
 *
 * @param client each worker makes a copy of it for its blocking read
 * @param options.batches how many batches run at once, and `batchSize` how many jobs each holds at most
 * @param options.limits locks and the check for stalled jobs, if not those of every worker
 */
export function createShardWorker(
  client: RedisClient,
  prefix: string,
  {
    batches,
    batchSize,
    handleAll,
    mostCompleted,
    limits = WORKER_OPTIONS,
    traces,
    startBatch,
    log,
  }: {
    batches: number
    batchSize: number
    handleAll: HandleAll
    mostCompleted: () => number
    limits?: typeof WORKER_OPTIONS
    traces?: Traces | undefined
    startBatch?: (() => EndStage) | undefined
    log: Log
  },
): EventWorker {
  const claimer = createJobClaimer(client, prefix, {
    lockMs: limits.lockDuration,
    onRefused: eachKindOnce(log),
  })
  const finish = createFinish(client, prefix, { mostCompleted })
  const bodies = createBodies(client, prefix)
  const closing = new AbortController()
  const completed = new Set<string>()
  const startSlot = createStartSlots(SPACING_MS)
  const worker: EventWorker = new EventWorker(
    queueKeys(prefix).name,
    async (job, token = '') => {
      const trace = traces?.batch('land events')
      const endStage = startBatch?.()
      const batch = { worker, claimer, finish, bodies, token, startSlot, trace, endStage, log }
      try {
        if (await processBatch(batch, job, batchSize, handleAll)) completed.add(String(job.id))
      } finally {
        trace?.end({ 'sluice.via': 'redis' })
      }
    },
    { connection: client, prefix, concurrency: batches, ...limits },
    createWorkerBackend({ completed, claimer, closing: closing.signal }),
  )
  worker.on('closing', () => closing.abort())
  worker.on('error', (error) =>
    log[client.status === 'ready' ? 'warn' : 'debug']({ err: error, prefix }, 'queue worker'),
  )
  return worker
}

/** Logs each kind of refusal once, without the part that differs from script to script. */
function eachKindOnce(log: Log): (error: Error) => void {
  const known = new Set<string>()
  return ({ message }) => {
    const refusal = message.replace(/,? (script:|on @|Error running script).*/s, '')
    if (known.has(refusal)) return
    known.add(refusal)
    log.warn({ refusal }, 'jobs cannot be claimed in batches; those that wait stay in Redis')
  }
}

function createStartSlots(spacingMs: number): () => Promise<void> {
  let next = 0
  return async () => {
    const now = performance.now()
    const waitMs = next - now
    next = Math.max(now, next) + spacingMs
    if (waitMs > 0) await pause(waitMs)
  }
}
