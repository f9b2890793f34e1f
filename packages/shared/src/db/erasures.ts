import { asc } from 'drizzle-orm'
import { pause } from '../runtime/every.ts'
import { createSubjectHash, type Subject, textOf } from './erased.ts'
import { FENCE_HOLDERS, REQUEST_ERASURE } from './erasure-fence.ts'
import { recordAction } from './operator-actions.ts'
import type { Connection, Db } from './pool.ts'
import { type ErasureProgress, erasures } from './schema.ts'

export type Erasure = typeof erasures.$inferSelect

export type NewErasure = Pick<Erasure, 'kind' | 'actor' | 'reason'> & {
  /** The first one is what was asked for. */
  readonly subjects: readonly Subject[]
}

export async function readInstallation(
  connection: Connection,
): Promise<{ secret: Buffer; lastReceipt: Buffer | null }> {
  const { rows } = await connection.query(
    'select secret, last_receipt as "lastReceipt" from installation for no key update',
  )
  if (!rows[0]) throw new Error('the table installation has no row')
  return rows[0]
}

export function listErasures(db: Db): Promise<Erasure[]> {
  return db.query.select().from(erasures).orderBy(asc(erasures.n))
}

/**
 * Writes the row of an erasure, or adds subjects to that of an erasure which was interrupted. When it has returned,
 * each landing transaction that begins stores nothing of the subjects.
 *
 * @returns the number of the erasure
 */
export async function requestErasure(db: Db, { kind, subjects, actor, reason }: NewErasure): Promise<number> {
  const erasure = await db.transaction(async (connection) => {
    // It locks the row, so that two requests for the same do not make two erasures.
    const { secret } = await readInstallation(connection)
    const hashOf = createSubjectHash(secret)
    const hashes = subjects.map((subject) => Buffer.from(hashOf(textOf(subject)), 'latin1'))
    const open = await connection.query<{ n: number }>(
      `update erasures set subjects = array(select distinct unnest(subjects || $3::bytea[]))
        where kind = $1 and $2 = any(subjects) and receipt is null returning n::float8 as n`,
      [kind, hashes[0], hashes],
    )
    if (open.rows[0]) return open.rows[0].n
    const { rows } = await connection.query<{ n: number }>(
      'insert into erasures (kind, subjects, actor, reason) values ($1, $2, $3, $4) returning n::float8 as n',
      [kind, hashes, actor, reason],
    )
    const n = rows[0]?.n as number
    await recordAction(connection, {
      actor,
      action: 'erase',
      target: `erasure ${n}`,
      reason: reason ?? undefined,
    })
    return n
  })
  await db.pool.query(REQUEST_ERASURE)
  return erasure
}

/** A receipt has whole milliseconds. */
const SAME_TIME = `date_trunc('milliseconds', requested_at) = $6`

/** What a receipt says of the erasure that it is for. */
export type ReceiptOfErasure = Pick<Erasure, 'n' | 'kind' | 'subjects' | 'actor' | 'reason' | 'requestedAt'>

/**
 * Writes the rows of erasures that a restored database does not have, or does not have with this number. From then on
 * nothing of their subjects lands.
 *
 * @returns the number of each row: it is another one if the old number is in use
 */
export async function requestAgain(db: Db, lost: readonly ReceiptOfErasure[]): Promise<number[]> {
  const numbers = await db.transaction(async (connection) => {
    await readInstallation(connection)
    const found: number[] = []
    for (const { n, kind, subjects, actor, reason, requestedAt } of lost) {
      const { rows } = await connection.query<{ n: number }>(
        `insert into erasures (n, kind, subjects, actor, reason, requested_at) overriding system value
          select coalesce(
            (select n from erasures where receipt is null and subjects = $3 and ${SAME_TIME}),
            case when exists (select from erasures where n = $1)
              then nextval(pg_get_serial_sequence('erasures', 'n')) else $1 end), $2, $3, $4, $5, $6
          on conflict (n) do update set subjects = excluded.subjects returning n::float8 as n`,
        [n, kind, subjects, actor, reason, requestedAt],
      )
      found.push(rows[0]?.n as number)
    }
    await connection.query(
      `select setval(pg_get_serial_sequence('erasures', 'n'), greatest(max(n), 1)) from erasures`,
    )
    return found
  })
  await db.pool.query(REQUEST_ERASURE)
  return numbers
}

/** Ends an erasure with a receipt that exists already, and is the next one of the chain. */
export async function appendReceipt(
  db: Db,
  { n, erasedAt, purgedAt }: Pick<Erasure, 'n' | 'erasedAt' | 'purgedAt'>,
  { receipt, hash }: SignedReceipt,
): Promise<void> {
  await db.transaction(async (connection) => {
    await connection.query('update erasures set erased_at = $2, purged_at = $3, receipt = $4 where n = $1', [
      n,
      erasedAt,
      purgedAt,
      JSON.stringify(receipt),
    ])
    await connection.query('update installation set last_receipt = $1', [hash])
  })
}

const ADD = `update erasures set progress = jsonb_build_object(
    'counts', (select coalesce(jsonb_object_agg(key, n), '{}') from (
      select key, sum(value::bigint) as n from (select * from jsonb_each_text(progress->'counts')
        union all select * from jsonb_each_text($2::jsonb->'counts')) as each group by key) as summed),
    'tombstones', (progress->>'tombstones')::bigint + ($2::jsonb->>'tombstones')::bigint,
    'tables', (select coalesce(jsonb_agg(distinct name order by name), '[]')
      from jsonb_array_elements_text((progress->'tables') || ($2::jsonb->'tables')) as t(name)))
  where n = $1`

/** Adds what was deleted, in the transaction that deletes it. */
export async function addProgress(
  connection: Connection,
  erasure: number,
  progress: ErasureProgress,
): Promise<void> {
  await connection.query(ADD, [erasure, JSON.stringify(progress)])
}

/** From here on no query finds anything. */
export async function markErased({ pool }: Db, erasure: number): Promise<void> {
  await pool.query('update erasures set erased_at = coalesce(erased_at, now()) where n = $1', [erasure])
}

const COLUMNS = `n::float8 as n, kind, subjects, actor, reason, requested_at as "requestedAt", erased_at as "erasedAt",
  purged_at as "purgedAt", progress, receipt, late, last_late_at as "lastLateAt"`

export async function readErasure({ pool }: Db, erasure: number): Promise<Erasure | undefined> {
  const { rows } = await pool.query<Erasure>(`select ${COLUMNS} from erasures where n = $1`, [erasure])
  return rows[0]
}

/**
 * The tables whose files had rows of an erasure, or of an earlier one of the same subjects after which they were not
 * written anew.
 */
export async function unpurgedTables({ pool }: Db, erasure: number): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select distinct jsonb_array_elements_text(e.progress->'tables') as name from erasures e join erasures own
      on own.n = $1 and (e.n = own.n or (e.purged_at is null and e.subjects && own.subjects))`,
    [erasure],
  )
  return rows.map(({ name }) => name)
}

/** A signed receipt, and its SHA-256 for the next one. */
export type SignedReceipt = { readonly receipt: unknown; readonly hash: Buffer }

/**
 * Ends an erasure with its receipt. Receipts are made one at a time, since each has the hash of the one before.
 *
 * @param isPurged the files of the stores have nothing of it any more
 * @param sign makes the receipt, given the installation's secret and the newest receipt
 */
export async function endErasure(
  db: Db,
  erasure: number,
  isPurged: boolean,
  sign: (erasure: Erasure, installation: { secret: Buffer; last: unknown }) => SignedReceipt,
): Promise<void> {
  await db.transaction(async (connection) => {
    const { secret } = await readInstallation(connection)
    const newest = await connection.query(
      `select receipt from erasures where receipt is not null order by (receipt->>'number')::bigint desc limit 1`,
    )
    const { rows } = await connection.query<Erasure>(
      `update erasures set purged_at = case when $2::boolean then now() end where n = $1 and receipt is null returning ${COLUMNS}`,
      [erasure, isPurged],
    )
    // Another process has ended it.
    if (!rows[0]) return
    const { receipt, hash } = sign(rows[0], { secret, last: newest.rows[0]?.receipt ?? null })
    await connection.query('update erasures set receipt = $2 where n = $1', [
      erasure,
      JSON.stringify(receipt),
    ])
    await connection.query('update installation set last_receipt = $1', [hash])
  })
}

const LOOK_EVERY_MS = 50

/**
 * Waits until every landing transaction has ended that began before now. Those that begin meanwhile are not waited
 * for: they know of the erasures that are committed.
 *
 * @returns false if some are still under way after `limitMs`
 */
export async function landingsEnded(db: Db, limitMs: number): Promise<boolean> {
  const limit = Date.now() + limitMs
  let waited = new Set(await holders(db.pool))
  while (waited.size > 0) {
    if (Date.now() > limit) return false
    await pause(LOOK_EVERY_MS)
    waited = waited.intersection(new Set(await holders(db.pool)))
  }
  return true
}

async function holders(connection: Connection): Promise<string[]> {
  const { rows } = await connection.query<{ holders: string[] }>(FENCE_HOLDERS)
  return rows[0]?.holders ?? []
}
