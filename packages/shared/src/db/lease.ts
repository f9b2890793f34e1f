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
    await dropLease(db, name, holder).catch(() => {})
  }
}

const HOLD = `
insert into leases (name, holder, expires_at) values ($1, $2, now() + $3::float8 * interval '1 millisecond')
on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
where leases.holder = excluded.holder or leases.expires_at < now() - $4::float8 * interval '1 millisecond'
  or starts_with(leases.holder, $5)`

/**
 * Holds a lease for 30 s from now on, for work that one process does again and again. It is not given back in between.
 *
 * @param options.patienceMs for how long another one's lease must have expired
 * @param options.over takes the lease from holders whose names begin so
 * @returns whether this holder has it
 */
export async function holdLease(
  db: Db,
  name: string,
  holder: string,
  { patienceMs = 0, over = '(nobody)' }: { patienceMs?: number; over?: string } = {},
): Promise<boolean> {
  return (await db.pool.query(HOLD, [name, holder, LASTS_MS, patienceMs, over])).rowCount === 1
}

export async function dropLease(db: Db, name: string, holder: string): Promise<void> {
  await db.pool.query('delete from leases where name = $1 and holder = $2', [name, holder])
}
