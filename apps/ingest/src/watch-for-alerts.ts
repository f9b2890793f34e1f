import type { Db } from '@sluice/shared/db'
import { type AlertSettings, LOOK_EVERY_MS, startAlertWatch } from '@sluice/shared/operations'
import { createQueueAdmin, type QueueLocation } from '@sluice/shared/queue'
import { describeError, every, type Log, type Metrics, type Source } from '@sluice/shared/runtime'

/** Looks for what people must hear of while no scheduler does, such as that no worker runs. */
export function watchForAlerts(
  deps: { db: Db; queue: QueueLocation | undefined; sources: readonly Source[]; metrics: Metrics; log: Log },
  settings: AlertSettings,
): AsyncDisposable {
  const { db, sources, metrics, log } = deps
  const stack = new AsyncDisposableStack()
  const queue = deps.queue && stack.use(createQueueAdmin(deps.queue, log))
  const watch = stack.use(startAlertWatch({ db, queue, sources, metrics, log }, settings, 'ingest'))
  stack.use(
    every(LOOK_EVERY_MS, () => watch.round(), {
      pauseFirst: true,
      onError: (error) => log.debug({ error: describeError(error) }, 'nobody looks for alerts now'),
    }),
  )
  return stack
}
