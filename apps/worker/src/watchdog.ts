import type { QueueSteward } from '@sluice/shared/queue'
import { pause, UserError } from '@sluice/shared/runtime'

const EVERY_MS = 10_000
const STUCK_AFTER_MS = 60_000

/**
 * Notices a worker that fetches nothing although jobs wait and Redis answers: a blocking read can be lost for good
 * after a reconnect (BullMQ #4479, #4585). A new process is the cure.
 */
export function startWatchdog(deps: {
  steward: Pick<QueueSteward, 'oldestWaitingMs'>
  /** When a job was last started, or fetching last allowed; ms since 1970. */
  lastActiveAt(): number
  isFetching(): boolean
  onStuck(error: Error): void
  stuckAfterMs?: number
  everyMs?: number
}): AsyncDisposable {
  const { steward, stuckAfterMs = STUCK_AFTER_MS, everyMs = EVERY_MS } = deps
  const stop = new AbortController()
  async function watch(): Promise<void> {
    while (!stop.signal.aborted) {
      await pause(everyMs, stop.signal)
      const waited = await steward.oldestWaitingMs().catch(() => 0)
      const idleMs = Date.now() - deps.lastActiveAt()
      if (waited > stuckAfterMs && idleMs > stuckAfterMs && deps.isFetching() && !stop.signal.aborted) {
        const seconds = Math.round(waited / 1000)
        deps.onStuck(
          new UserError(
            `Jobs have waited for ${seconds} s and this worker takes none; it ends to be started anew.`,
          ),
        )
        return
      }
    }
  }
  const watching = watch()
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await watching
    },
  }
}
