import type { Connection } from './pool.ts'

/** A count that ends at a limit, so that it costs the same however many there are. */
export type Amount = { readonly count: number; readonly isMore: boolean }

const MOST = 10_000
const MOST_GROUPS = 200
const MOST_SHOWN = 5

function amount(count: number): Amount {
  return { count: Math.min(count, MOST), isMore: count > MOST }
}

// An envelope begins with its version, environment and time of receipt. A replay waits since it was asked for.
const RECEIVED = `case when replay_of is null then
  substring(left(envelope, 80) from '"at":([0-9]{1,16})[,}]')::float8 else date_part('epoch', available_at) * 1000 end`

/**
 * How many rows wait in the inbox, and for how long since the receipt of the first of them (ms; null if there is
 * none). A row that failed is due later, but has not waited less. Of more than 10,000 rows, the age is that of the
 * first ones that are found, and of the one that has been due longest.
 */
export async function readInboxDepth(
  connection: Connection,
): Promise<{ waiting: Amount; oldestMs: number | null }> {
  const { rows } = await connection.query<{ count: number; oldestMs: number | null }>(
    `select count(*)::float8 as count, greatest(0, date_part('epoch', now()) * 1000
        - least(min(received), date_part('epoch', (select min(available_at) from inbox)) * 1000)) as "oldestMs"
      from (select ${RECEIVED} as received from inbox limit ${MOST + 1}) as found`,
  )
  const { count = 0, oldestMs = null } = rows[0] ?? {}
  return { waiting: amount(count), oldestMs: count === 0 ? null : oldestMs }
}

export type OpenLetters = {
  readonly open: Amount
  /** How many groups of those that failed alike; at most 200 are counted. */
  readonly groups: number
  readonly newestAt: Date | null
  /** The groups that failed last, at most five. */
  readonly newest: readonly NewestGroup[]
}

/** A group, with its newest letter. */
type NewestGroup = {
  readonly fingerprint: string
  readonly letters: Amount
  readonly newestAt: Date
  readonly environment: string | null
  readonly event: string | null
  readonly reason: string
  readonly errorClass: string
  readonly errorMessage: string
}

// It steps from group to group through the index, since a group may have any number of letters.
const LETTERS = `with recursive steps as (
    (select fingerprint, 1 as step from dead_letters where state = 'open' order by fingerprint limit 1)
    union all
    select (select fingerprint from dead_letters where state = 'open' and fingerprint > steps.fingerprint
      order by fingerprint limit 1), step + 1 from steps where fingerprint is not null and step < ${MOST_GROUPS}),
  groups as materialized (select fingerprint, (select max(last_failed_at) from dead_letters
    where state = 'open' and fingerprint = steps.fingerprint) as "newestAt"
    from steps where fingerprint is not null),
  total as (select count(*)::float8 as groups, ${counted(`state = 'open'`)} as open from groups)
  select total.*, top.*, ${counted(`state = 'open' and fingerprint = top.fingerprint`)} as letters,
    letter.environment, letter.event, letter.reason,
    letter.error_class as "errorClass", letter.error_message as "errorMessage"
  from total left join (select * from groups order by "newestAt" desc limit ${MOST_SHOWN}) as top on true
    left join lateral (select * from dead_letters where state = 'open' and fingerprint = top.fingerprint
      order by last_failed_at desc limit 1) as letter on true
  order by top."newestAt" desc`

export async function readOpenLetters(connection: Connection): Promise<OpenLetters> {
  const { rows } = await connection.query<
    Omit<NewestGroup, 'letters'> & { open: number; groups: number; letters: number }
  >(LETTERS)
  const newest = rows.flatMap(({ open: _open, groups: _groups, letters, ...group }) =>
    group.fingerprint === null ? [] : [{ ...group, letters: amount(letters) }],
  )
  const { open = 0, groups = 0 } = rows[0] ?? {}
  return { open: amount(open), groups, newestAt: newest[0]?.newestAt ?? null, newest }
}

function counted(which: string): string {
  return `(select count(*) from (select from dead_letters where ${which} limit ${MOST + 1}) as found)::float8`
}
