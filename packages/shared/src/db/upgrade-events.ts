import { failpoint } from '../runtime/failpoint.ts'
import { withoutLimits } from './client.ts'
import { withLease } from './lease.ts'
import type { Connection, Db } from './pool.ts'

/**
 * Up to release 0.1, `events` was one table whose primary key decided "once". The next migration makes it a partition,
 * and `event_keys` decides. These functions do in advance what takes long, while the release before goes on landing:
 *
 * 1. `prepareEvents` makes the table of keys and the indexes, and writes a key for each event. `advanceKeys` writes the
 *    keys of those that have landed since.
 * 2. `oldWorkers` must be none from here on, since a worker of the release before writes no keys.
 * 3. `boundEvents` writes the keys that are still missing, and has Postgres check where the table ends.
 *
 * Each step may be interrupted, and finds what an earlier run has done.
 */
export type EventsBound = {
  /** All events that landed before have their keys. */
  readonly keysUntil: Date
  /** All events landed before; the partition of the time before ends here. */
  readonly until: Date
}

const PAGE_ROWS = 20_000
/** Short, so that another run soon goes on if one is killed. */
const LEASE_MS = 6_000
/** No transaction of a worker takes as long. */
const LONGEST_TRANSACTION_MS = 60_000

/** Whether `events` is the table of the release before. */
export async function mustUpgradeEvents(connection: Connection): Promise<boolean> {
  const { rows } = await connection.query(
    `select exists (select from pg_class where oid = to_regclass('events') and relkind = 'r') as old`,
  )
  return rows[0]?.old === true
}

const INDEXES = [
  ['events_before_by_time', 'events (processed_at, n)'],
  [
    'events_before_by_reference',
    'events (reference_no text_pattern_ops) where reference_no is not null and journey_id is null',
  ],
  ['events_before_unrecognised', `events (event_id) where kind = 'unrecognised'`],
  ['events_before_unrecognised_by_time', `events (processed_at) where kind = 'unrecognised'`],
  ['journeys_by_reference_prefix', 'journeys (reference_no text_pattern_ops) where reference_no is not null'],
] as const

/** @returns false if another process is preparing them */
export async function prepareEvents(db: Db, report: (line: string) => void): Promise<boolean> {
  let done = false
  const work = async () => {
    await db.pool.query(TABLES)
    for (const [name, on] of INDEXES) {
      report(`index ${name}`)
      await makeIndex(db, name, on)
    }
    failpoint('migrate-while-preparing')
    report('keys of the events that are stored')
    await advanceKeys(db, report)
    done = true
  }
  await withLease(db, 'upgrade_events', work, LEASE_MS)
  return done
}

const TABLES = `
create table if not exists event_keys (
  key uuid primary key not null, landed_at timestamptz not null, n smallint, body bytea not null);
create index if not exists event_keys_by_time on event_keys using brin (landed_at);
alter table events add column if not exists n smallint not null default 0`

/** Behind a pooler, each statement is a transaction, in which no index can be made beside writers. */
async function makeIndex({ pool, isPooled }: Db, name: string, on: string): Promise<void> {
  const client = await pool.connect()
  try {
    await withoutLimits(client)
    const { rows } = await client.query(
      'select indisvalid as valid from pg_index where indexrelid = to_regclass($1)',
      [name],
    )
    if (rows[0]?.valid) return
    // An interrupted build leaves an index behind that is not valid.
    if (rows[0]) await client.query(`drop index ${isPooled ? '' : 'concurrently'} ${name}`)
    await client.query(`create index ${isPooled ? '' : 'concurrently'} ${name} on ${on}`)
  } finally {
    client.release(true)
  }
}

/**
 * Writes the keys that are missing, page by page in the order of landing. How far it came is the comment of the table,
 * so that the next run goes on from there.
 *
 * @returns all events that landed before have their keys
 */
export async function advanceKeys({ pool }: Db, report: (line: string) => void): Promise<Date> {
  const { rows } = await pool.query<{ now: Date; since: Date | null }>(
    `select now(), coalesce(obj_description('event_keys'::regclass)::timestamptz, (select min(processed_at) from events)) as since`,
  )
  const { now, since } = rows[0] as { now: Date; since: Date | null }
  const keysUntil = new Date(now.getTime() - LONGEST_TRANSACTION_MS)
  let from = since ?? now
  while (from < now) {
    const page = await pool.query<{ until: Date }>(END_OF_PAGE, [from, PAGE_ROWS])
    const until = page.rows[0]?.until as Date
    await pool.query(WRITE_KEYS, [from, until])
    if (until.getUTCDate() !== from.getUTCDate()) report(`keys until ${until.toISOString().slice(0, 10)}`)
    from = until
  }
  await pool.query(`comment on table event_keys is '${keysUntil.toISOString()}'`)
  return keysUntil
}

// Events of one time stay together: the page ends after the last event of its last time.
const END_OF_PAGE = `select coalesce((select processed_at + interval '1 millisecond' from events
  where processed_at >= $1 order by processed_at offset $2 limit 1), now() + interval '1 second') as until`
const WRITE_KEYS = `insert into event_keys (key, landed_at, n, body)
  select encode(substring(event_key for 16), 'hex')::uuid, processed_at, n, substring(body_sha256 for 8)
  from events where processed_at >= $1 and processed_at < $2 order by 1 on conflict do nothing`

/**
 * The workers of other releases that run: by what they announce about themselves, which forgets one that was killed
 * after a minute, and by their sessions.
 *
 * @param own the release of this process
 * @returns in words, for each kind
 */
export async function oldWorkers(connection: Connection, own: string): Promise<string[]> {
  const { rows } = await connection.query<{ found: string }>(
    `select count(*) || ' of release ' || release as found from processes
      where app = 'worker' and release <> $1 and seen_at > now() - interval '1 minute' group by release
    union all select count(*) || ' sessions' from pg_stat_activity where datname = current_database()
      and application_name ~ '^sluice (worker|scheduler|listener)( |$)' and application_name not like '% ' || $1
      having count(*) > 0`,
    [own],
  )
  return rows.map(({ found }) => found)
}

/**
 * Completes the keys when no worker of the release before runs any more, and has Postgres check that all events landed
 * before a bound, so that the migration need not.
 *
 * @param until the end of the current period
 */
export async function boundEvents(db: Db, until: Date, report: (line: string) => void): Promise<EventsBound> {
  report('keys of the newest events')
  const keysUntil = await advanceKeys(db, report)
  await db.pool.query(`alter table events drop constraint if exists events_before_bound;
    alter table events add constraint events_before_bound check (processed_at < '${until.toISOString()}') not valid`)
  report('bound of the table')
  const client = await db.pool.connect()
  try {
    await withoutLimits(client)
    await client.query('alter table events validate constraint events_before_bound')
  } finally {
    client.release(true)
  }
  return { keysUntil, until }
}
