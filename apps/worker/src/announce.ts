import { isFullOfNotifications } from '@sluice/shared/db'
import { describeError, type Log } from '@sluice/shared/runtime'

const SILENT_MS = 10_000

/** Runs an attempt to commit something; `announced` tells whether it may announce what it changes. */
export type Announcer = <T>(attempt: (announced: boolean) => Promise<T>) => Promise<T>

/**
 * Where a commit fails since a listener does not read what it is sent, the attempt is made again without announcing
 * anything, and so are others for some seconds: listeners find the rows by their `updated_at`.
 */
export function createAnnouncer(log: Log): Announcer {
  let silentUntil = Number.NEGATIVE_INFINITY
  let isTold = false
  return async (attempt) => {
    if (performance.now() < silentUntil) return attempt(false)
    try {
      const result = await attempt(true)
      isTold = false
      return result
    } catch (error) {
      if (!isFullOfNotifications(error)) throw error
      const result = await attempt(false)
      silentUntil = performance.now() + SILENT_MS
      const message = 'changes of journeys cannot be announced; events land without'
      if (!isTold) log.warn({ error: describeError(error) }, message)
      isTold = true
      return result
    }
  }
}
