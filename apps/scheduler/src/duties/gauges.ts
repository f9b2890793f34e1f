import { ENVIRONMENTS } from '@sluice/shared/envelope'
import { PATIENCE_MS } from '@sluice/shared/idwise'
import { readGauges, type StoreGauges } from '@sluice/shared/operations'
import { type Metrics, release } from '@sluice/shared/runtime'
import type { Duty, GaugeDutyDeps } from '../duty.ts'

/** Sets the metrics that the stores decide. Each scheduler does it, so that they stay while one of them ends. */
export const gauges = ({ db, metrics, admin }: GaugeDutyDeps): Duty => ({
  name: 'gauges',
  everyMs: 10_000,
  async run() {
    const { postgres, redis } = await readGauges({ db, queue: admin })
    setPostgres(metrics, postgres)
    if (redis !== undefined) setRedis(metrics, redis)
  },
})

/** @param found null if Postgres could not be read: then no gauge of it has an older value */
function setPostgres(metrics: Metrics, found: StoreGauges['postgres']): void {
  metrics.storeUp.set({ store: 'postgres' }, found ? 1 : 0)
  for (const name of BY_LABEL) metrics[name].reset()
  if (!found) {
    metrics.oldestWaiting.remove('inbox')
    for (const name of ALONE) metrics[name].remove()
    return
  }
  metrics.oldestWaiting.set({ via: 'inbox' }, found.inbox.oldestMs / 1_000)
  metrics.inboxRows.set(found.inbox.rows)
  metrics.journeysNeedingAttention.set(found.journeys)
  metrics.erasuresPending.set(found.erasures)
  for (const { state, reason, count } of found.letters) metrics.deadLetters.set({ reason, state }, count)
  for (const environment of ENVIRONMENTS) {
    const refusedForMs = found.refusedForMs[environment] ?? 0
    metrics.senderPatience.set({ environment }, (PATIENCE_MS - refusedForMs) / 1_000)
    const last = found.lastEvents[environment]
    if (last) metrics.lastEvent.set({ environment }, last.getTime() / 1_000)
  }
  for (const app of ['workers', 'ingests'] as const) {
    metrics[app].set({ release: release() }, 0)
    for (const each of found[app]) metrics[app].inc({ release: each })
  }
}

const BY_LABEL = ['deadLetters', 'senderPatience', 'lastEvent', 'workers', 'ingests'] as const
const ALONE = ['inboxRows', 'journeysNeedingAttention', 'erasuresPending'] as const

function setRedis(metrics: Metrics, found: NonNullable<StoreGauges['redis']> | null): void {
  metrics.storeUp.set({ store: 'redis' }, found ? 1 : 0)
  metrics.queueJobs.reset()
  if (!found) {
    metrics.oldestWaiting.remove('redis')
    return
  }
  metrics.oldestWaiting.set({ via: 'redis' }, found.oldestMs / 1_000)
  for (const [state, count] of Object.entries(found.jobs)) metrics.queueJobs.set({ state }, count)
}
