import { SURE_SPAN_MS } from '@sluice/shared/idwise'
import { readGauges, type StoreGauges } from '@sluice/shared/operations'
import { type Metrics, release, type Source } from '@sluice/shared/runtime'
import type { Duty, GaugeDutyDeps } from '../duty.ts'

const PATIENCE_SECONDS = SURE_SPAN_MS / 1_000

/** Sets the metrics that the stores decide. Each scheduler does it, so that they stay while one of them ends. */
export function gauges({ db, metrics, admin, sources }: GaugeDutyDeps): Duty {
  let wasFound = true
  return {
    name: 'gauges',
    everyMs: 10_000,
    async run() {
      const { postgres, redis } = await readGauges({ db, queue: admin })
      // An ingest in this process shows patience while Postgres is away: only what was set here goes.
      if (postgres || wasFound) for (const name of BY_LABEL) metrics[name].reset()
      wasFound = postgres !== null
      setPostgres(metrics, postgres, sources)
      if (redis !== undefined) setRedis(metrics, redis)
    },
  }
}

/** @param found null if Postgres could not be read: then no gauge of it has an older value */
function setPostgres(metrics: Metrics, found: StoreGauges['postgres'], sources: readonly Source[]): void {
  for (const { name, kind } of sources) metrics.sourceInfo.set({ environment: name, kind }, 1)
  metrics.storeUp.set({ store: 'postgres' }, found ? 1 : 0)
  for (const kind of ['synchronous', 'asynchronous', 'unknown'] as const) {
    if (found) metrics.replicas.set({ store: 'postgres', kind }, found.standbys[kind])
    else metrics.replicas.remove({ store: 'postgres', kind })
  }
  if (!found) {
    metrics.oldestWaiting.remove('inbox')
    for (const name of ALONE) metrics[name].remove()
    return
  }
  metrics.oldestWaiting.set({ via: 'inbox' }, found.inbox.oldestMs / 1_000)
  metrics.inboxRows.set(found.inbox.rows)
  metrics.journeysNeedingAttention.set(found.journeys)
  metrics.erasuresPending.set(found.erasures)
  metrics.drifts.set(found.drifts)
  for (const { state, reason, count } of found.letters) metrics.deadLetters.set({ reason, state }, count)
  // Of these alone, so that nobody but the settings decides how many series there are.
  for (const { name: environment } of sources) {
    const seconds = (found.refusedForMs[environment] ?? 0) / 1_000
    metrics.refusingSince.set({ environment }, seconds)
    metrics.senderPatience.set({ environment }, PATIENCE_SECONDS - seconds)
    const last = found.lastEvents[environment]
    if (last) metrics.lastEvent.set({ environment }, last.getTime() / 1_000)
  }
  for (const app of ['workers', 'ingests'] as const) {
    metrics[app].set({ release: release() }, 0)
    for (const each of found[app]) metrics[app].inc({ release: each })
  }
}

const BY_LABEL = [
  'deadLetters',
  'refusingSince',
  'senderPatience',
  'lastEvent',
  'workers',
  'ingests',
] as const
const ALONE = ['inboxRows', 'journeysNeedingAttention', 'erasuresPending', 'drifts'] as const

function setRedis(metrics: Metrics, found: NonNullable<StoreGauges['redis']> | null): void {
  metrics.storeUp.set({ store: 'redis' }, found ? 1 : 0)
  metrics.queueJobs.reset()
  if (!found) {
    metrics.oldestWaiting.remove('redis')
    metrics.redisMemory.remove()
    metrics.replicas.remove({ store: 'redis', kind: 'replica' })
    return
  }
  metrics.oldestWaiting.set({ via: 'redis' }, found.oldestMs / 1_000)
  for (const [shard, counts] of found.jobs.entries()) {
    for (const [state, count] of Object.entries(counts)) metrics.queueJobs.set({ shard, state }, count)
  }
  metrics.replicas.set({ store: 'redis', kind: 'replica' }, found.replicas)
  if (found.memoryRatio === undefined) metrics.redisMemory.remove()
  else metrics.redisMemory.set(found.memoryRatio)
}
