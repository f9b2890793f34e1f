import type { Connection } from './pool.ts'

/** The subject of a row that only keeps how many replicas were seen. It is never over, and so is kept. */
export const SEEN = '(seen)'

const rowOf = (store: string) => [`replicas of ${store}`, SEEN] as const

/**
 * How many replicas a store should have: the most that any process saw. If there are fewer, and a person has
 * acknowledged it or a day has passed, they are what is expected from now on. The incident ends then; nothing is told,
 * since no replica came back.
 *
 * @param found how many there are now
 * @param isTold whether a check says by itself that one is gone: then the incident goes on
 */
export async function expectReplicas(
  connection: Connection,
  { store, found, isTold }: { store: string; found: number; isTold: boolean },
): Promise<number> {
  const { rows } = await connection.query<{ peak: number }>(
    'select peak from incidents where name = $1 and subject = $2',
    [...rowOf(store)],
  )
  const [seen] = rows
  if (!seen) {
    await connection.query(
      `insert into incidents (name, subject, severity, text, peak, resolved_at)
        values ($1, $2, 'notice', 'Seen.', $3, 'infinity')`,
      [...rowOf(store), found],
    )
    return found
  }
  const isNew = found > seen.peak || (found < seen.peak && !isTold && (await endOld(connection, store)))
  if (!isNew) return seen.peak
  await connection.query('update incidents set peak = $3 where name = $1 and subject = $2', [
    ...rowOf(store),
    found,
  ])
  return found
}

async function endOld(connection: Connection, store: string): Promise<boolean> {
  const { rowCount } = await connection.query(
    `update incidents set resolved_at = now(), recovery_notified_at = now(), notifying_at = null, claims = 0
      where name = 'replica-gone' and subject = $1 and resolved_at is null
        and (acknowledged_at is not null or opened_at < now() - interval '1 day')`,
    [store],
  )
  return rowCount === 1
}
