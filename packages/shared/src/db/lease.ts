import { randomUUID } from 'node:crypto'
import { every } from '../runtime/every.ts'
import type { Db } from './pool.ts'

const LASTS_MS = 30_000

const CLAIM = `
insert into leases (name, holder, expires_at) values ($1, $2, now() + $3::float8 * interval '1 millisecond')
on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
where leases.expires_at < now()`
const RENEW = `update leases set expires_at = now() + $3::float8 * interval '1 millisecond' where name = $1 and holder = $2`

/**
 * Does the work while it holds the lease of this name, which it renews until the work is done; where another one holds it,
 * nothing is done. A holder that dies is followed when its lease has expired, after 30 s. A row, and no lock of the session:
 * behind a pooler a session belongs to nobody.
 *
 * @param lastsMs unless it is renewed, which is done three times as often
 */
export async function withLease(
  db: Db,
  name: string,
  work: () => Promise<void>,
  lastsMs = LASTS_MS,
): Promise<void> {
  const holder = randomUUID()
  const { rowCount } = await db.pool.query(CLAIM, [name, holder, lastsMs])
  if (rowCount !== 1) return
  await using _renewal = every(lastsMs / 3, () => db.pool.query(RENEW, [name, holder, lastsMs]), {
    pauseFirst: true,
    onError() {},
  })
  try {
    await work()
  } finally {
    // If this fails, the lease expires.
    await db.pool.query('delete from leases where name = $1 and holder = $2', [name, holder]).catch(() => {})
  }
}
