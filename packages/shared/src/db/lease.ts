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
 * Does the work if no other process holds the lease of this name, and renews the lease until the work is done. When a
 * holder dies, its lease expires, and another process can get it. The lease is a row and no lock of a session, because
 * behind a pooler a session serves many clients.
 *
 * @param lastsMs how long the lease lasts; it is renewed three times as often
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
