import type { Connection } from './pool.ts'

/** A count that ends at a limit, so that it costs the same however many there are. */
export type Amount = { readonly count: number; readonly isMore: boolean }

const MOST = 10_000
const MOST_GROUPS = 200

function amount(count: number): Amount {
  return { count: Math.min(count, MOST), isMore: count > MOST }
}

/** How many rows wait in the inbox, and for how long the first of them has been due (ms; null if there is none). */
export async function readInboxDepth(
  connection: Connection,
): Promise<{ waiting: Amount; oldestMs: number | null }> {
  const { rows } = await connection.query<{ count: number; oldestMs: number | null }>(
    `select (select count(*) from (select from inbox limit ${MOST + 1}) as found)::float8 as count,
      greatest(0, date_part('epoch', now() - (select min(available_at) from inbox)) * 1000) as "oldestMs"`,
  )
  const { count = 0, oldestMs = null } = rows[0] ?? {}
  return { waiting: amount(count), oldestMs: count === 0 ? null : oldestMs }
}

export type OpenLetters = {
  readonly open: Amount
  /** How many groups of those that failed alike. */
  readonly groups: number
  readonly newestAt: Date | null
}

// It steps from group to group through the index, since a group may have any number of letters.
const LETTERS = `with recursive groups as (
    (select fingerprint from dead_letters where state = 'open' order by fingerprint limit 1)
    union all
    select (select fingerprint from dead_letters where state = 'open' and fingerprint > groups.fingerprint
      order by fingerprint limit 1) from groups where fingerprint is not null),
  known as (select fingerprint, (select max(last_failed_at) from dead_letters
    where state = 'open' and fingerprint = groups.fingerprint) as newest
    from groups where fingerprint is not null limit ${MOST_GROUPS})
  select count(*)::float8 as groups, max(newest) as "newestAt",
    (select count(*) from (select from dead_letters where state = 'open' limit ${MOST + 1}) as found)::float8 as count
  from known`

export async function readOpenLetters(connection: Connection): Promise<OpenLetters> {
  const { rows } = await connection.query<{ count: number; groups: number; newestAt: Date | null }>(LETTERS)
  const { count = 0, groups = 0, newestAt = null } = rows[0] ?? {}
  return { open: amount(count), groups, newestAt }
}
