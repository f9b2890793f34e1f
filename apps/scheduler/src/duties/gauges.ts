import { SURE_SPAN_MS } from '@sluice/shared/idwise'
import { readGauges, type StoreGauges } from '@sluice/shared/operations'
import { createGrowth } from '@sluice/shared/queue'
import { type Metrics, release, type Source } from '@sluice/shared/runtime'
import type { Duty, GaugeDutyDeps } from '../duty.ts'

/** Jobs come and go from round to round: the memory of some minutes says more. */
const GROWTH_MS = 300_000
const PATIENCE_SECONDS = SURE_SPAN_MS / 1_000

/** Sets the metrics that the stores decide. Each scheduler does it, so that they stay while one of them ends. */
export const gauges = ({ db, metrics, admin, sources, tells = false }: GaugeDutyDeps): Duty => {
  let wasFound = true
  const growth = createGrowth(undefined, GROWTH_MS)
  return {
    name: 'gauges',
    everyMs: 10_000,
    async run() {
      const { postgres, redis } = await readGauges({ db, queue: admin })
      // An ingest in this process shows patience while Postgres is away: only what was set here goes.
      if (postgres || wasFound) for (const name of BY_LABEL) metrics[name].reset()
      wasFound = postgres !== null
      setPostgres(metrics, postgres, { sources, tells })
      if (redis !== undefined) setRedis(metrics, redis, growth)
    },
  }
}

/** @param found null if Postgres could not be read: then no gauge of it has an older value */
function setPostgres(
  metrics: Metrics,
  found: StoreGauges['postgres'],
  { sources, tells }: { sources: readonly Source[]; tells: boolean },
): void {
  for (const { name, kind } of sources) metrics.sourceInfo.set({ environment: name, kind }, 1)
  metrics.storeUp.set({ store: 'postgres' }, found ? 1 : 0)
  for (const kind of ['synchronous', 'asynchronous', 'unknown'] as const) {
    if (found) metrics.replicas.set({ store: 'postgres', kind }, found.standbys[kind])
    else metrics.replicas.remove({ store: 'postgres', kind })
  }
  if (!found) {
    for (const name of ALONE) metrics[name].remove()
    return
  }
  metrics.oldestWaiting.set({ via: 'inbox' }, found.inbox.oldestMs / 1_000)
  metrics.inboxRows.set(found.inbox.rows)
  metrics.journeysNeedingAttention.set(found.journeys)
  metrics.erasuresPending.set(found.erasures)
  metrics.drifts.set(found.drifts)
  for (const [name, count] of Object.entries(tells ? found.incidents : {}))
    metrics.alerts.set({ name }, count)
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
  'queueJobs',
  'oldestWaiting',
  'alerts',
  'deadLetters',
  'refusingSince',
  'senderPatience',
  'lastEvent',
  'workers',
  'ingests',
] as const
const ALONE = ['inboxRows', 'journeysNeedingAttention', 'erasuresPending', 'drifts'] as const

function setRedis(
  metrics: Metrics,
  found: NonNullable<StoreGauges['redis']> | null,
  growth: ReturnType<typeof createGrowth>,
): void {
  metrics.storeUp.set({ store: 'redis' }, found ? 1 : 0)
  const { memory = [], oldestMs = [], jobs = [] } = found ?? {}
  for (const [shard, counts] of jobs.entries()) {
    for (const [state, count] of Object.entries(counts)) metrics.queueJobs.set({ shard, state }, count)
  }
  for (const [shard, ms] of oldestMs.entries()) metrics.oldestWaiting.set({ via: 'redis', shard }, ms / 1_000)
  if (found) metrics.replicas.set({ store: 'redis', kind: 'replica' }, found.replicas)
  else metrics.replicas.remove({ store: 'redis', kind: 'replica' })
  setOrRemove(metrics.redisMemory, Math.max(...memory.map(({ ratio }) => ratio)))
  const fullInMs = memory.flatMap(({ node, ratio }) => growth.fullInMs(node, ratio, 1) ?? [])
  setOrRemove(metrics.redisFullIn, Math.min(...fullInMs) / 1_000)
}

/** @param value infinite without one */
function setOrRemove(gauge: Metrics['redisMemory'], value: number): void {
  if (Number.isFinite(value)) gauge.set(value)
  else gauge.remove()
}
