import { isFullOfNotifications } from './failure.ts'
import type { Connection, Db } from './pool.ts'

/**
 * Runs a transaction that announces changes. If its commit fails because a listener does not read its notifications,
 * the transaction runs once more and announces nothing: listeners find the rows by their `updated_at`.
 */
export async function transactionAnnounced<T>(
  db: Db,
  work: (connection: Connection, options: { announced: boolean }) => Promise<T>,
): Promise<T> {
  const run = (announced: boolean) => db.transaction((connection) => work(connection, { announced }))
  try {
    return await run(true)
  } catch (error) {
    if (!isFullOfNotifications(error)) throw error
    return run(false)
  }
}
