import type { Db } from './pool.ts'

/**
 * Does the work under an advisory lock of this name; where another process has it, nothing is done. The lock is the
 * session's, so that work of any length keeps it, and Postgres lets go of it with the connection.
 */
export async function withAdvisoryLock(db: Db, name: string, work: () => Promise<void>): Promise<void> {
  const client = await db.pool.connect()
  let broken = true
  try {
    const { rows } = await client.query('select pg_try_advisory_lock(hashtextextended($1, 0)) as locked', [
      name,
    ])
    if (rows[0]?.locked) {
      await work()
      await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', [name])
    }
    broken = false
  } finally {
    // A connection that may still hold the lock is closed.
    client.release(broken)
  }
}
