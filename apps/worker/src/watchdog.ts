import { every, UserError } from '@sluice/shared/runtime'

const EVERY_MS = 10_000
const STUCK_AFTER_MS = 60_000

/**
 * Notices a worker that fetches nothing although jobs wait and Redis answers: a blocking read can be lost for good
 * after a reconnect (BullMQ #4479, #4585). A new process is the cure.
 *
 * For how long a job has waited is counted from when it was first seen here, so that no other machine's clock matters.
 */
export function startWatchdog(deps: {
  /** The oldest waiting job of each shard that this worker takes; null where none waits. */
  oldestWaiting(): Promise<readonly (string | null)[]>
  /** When a job was last started, or fetching last allowed, by `performance.now()`. */
  lastActiveAt(): number
  /** Jobs that are not to be fetched do not wait for this worker. */
  isFetching(): boolean
  onStuck(error: Error): void
  stuckAfterMs?: number
  everyMs?: number
}): AsyncDisposable {
  const { stuckAfterMs = STUCK_AFTER_MS, everyMs = EVERY_MS } = deps
  const stuck = new AbortController()
  let since: { jobId: string; at: number }[] = []
  async function look(stop: AbortSignal): Promise<void> {
    const waiting = deps.isFetching() ? await deps.oldestWaiting().catch(() => []) : []
    const now = performance.now()
    since = waiting.map((jobId, shard) => {
      const before = since[shard]
      return jobId !== null && before?.jobId === jobId ? before : { jobId: jobId ?? '', at: now }
    })
    const waitedMs = Math.max(0, ...since.map(({ at }) => now - at))
    const idleMs = now - deps.lastActiveAt()
    if (waitedMs <= stuckAfterMs || idleMs <= stuckAfterMs || stop.aborted) return
    stuck.abort()
    const seconds = Math.round(waitedMs / 1000)
    deps.onStuck(
      new UserError(
        `Jobs have waited for ${seconds} s and this worker takes none; it ends to be started anew.`,
      ),
    )
  }
  return every(everyMs, look, {
    pauseFirst: true,
    signal: stuck.signal,
    onError(error) {
      throw error
    },
  })
}
