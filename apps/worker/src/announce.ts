import { isFullOfNotifications } from '@sluice/shared/db'
import { describeError, type Log } from '@sluice/shared/runtime'

const SILENT_MS = 10_000

/** Runs an attempt to commit something; `announced` says whether it may announce what it changes. */
export type Announcing = <T>(attempt: (announced: boolean) => Promise<T>) => Promise<T>

/**
 * A commit fails if Postgres can hold no more notifications, because a listener does not read them. Then the attempt is
 * repeated without announcing, and for some seconds nothing is announced: listeners find the rows by their
 * `updated_at`.
 */
export function createAnnouncing(log: Log): Announcing {
  let silentUntil = Number.NEGATIVE_INFINITY
  let isLogged = false
  return async (attempt) => {
    if (performance.now() < silentUntil) return attempt(false)
    try {
      const result = await attempt(true)
      isLogged = false
      return result
    } catch (error) {
      if (!isFullOfNotifications(error)) throw error
      const result = await attempt(false)
      silentUntil = performance.now() + SILENT_MS
      const fields = { error: describeError(error) }
      if (!isLogged) log.warn(fields, 'changes of journeys cannot be announced; events land without')
      isLogged = true
      return result
    }
  }
}
