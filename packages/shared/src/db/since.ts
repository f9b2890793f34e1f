import { DEAD_LETTER_STATES } from './dead-letter-acts.ts'
import type { Amount } from './depth.ts'
import type { ShownIncident } from './incident-acts.ts'
import { listActions, type RecordedAction } from './operator-actions.ts'
import type { Db } from './pool.ts'

/** What happened while a person was away. Each list has at most six: the largest groups, the newest of the others. */
export type SinceNews = {
  /** Groups of dead letters that are open and were not there before. */
  readonly groups: readonly NewGroup[]
  /** How many groups there are besides; at most 200 are looked at. */
  readonly moreGroups: number
  /** What others did, by page, API or command line. */
  readonly acts: readonly RecordedAction[]
  /** Incidents that were told and are over. */
  readonly healed: readonly Pick<ShownIncident, 'name' | 'text' | 'openedAt' | 'resolvedAt'>[]
  /** Events that had been refused and have come again. */
  readonly cameAgain: Amount
}

type NewGroup = {
  readonly fingerprint: string
  readonly letters: Amount
  readonly reason: string
  readonly event: string | null
  readonly environment: string | null
  readonly errorMessage: string
  readonly newestAt: Date
}

const MOST_NEWS = 6
const MOST_GROUPS = 200
const MOST_COUNTED = 1_000
/** Of a group that was there before, one of so many letters that failed first says so. */
const OLDEST_READ = 100

// From group to group by the index, as in `depth.ts`.
const GROUPS = `
with recursive steps as (
  (select fingerprint, 1 as step from dead_letters where state = 'open' order by fingerprint limit 1)
  union all
  select (select fingerprint from dead_letters where state = 'open' and fingerprint > steps.fingerprint
    order by fingerprint limit 1), step + 1 from steps where fingerprint is not null and step < ${MOST_GROUPS}),
newest as materialized (
  select fingerprint, (select max(last_failed_at) from dead_letters
    where state = 'open' and fingerprint = steps.fingerprint) as at from steps where fingerprint is not null)
select g.fingerprint, g.at as "newestAt", letter.reason, letter.event, letter.environment,
  letter.error_message as "errorMessage", (select count(*) from (select from dead_letters
    where state = 'open' and fingerprint = g.fingerprint limit ${MOST_COUNTED + 1}) as found)::float8 as letters,
  count(*) over ()::float8 as total
from newest g cross join lateral (select * from dead_letters where state = 'open' and fingerprint = g.fingerprint
  order by last_failed_at desc limit 1) as letter
where g.at > $1 and not exists (select from unnest($2::text[]) as each(state), lateral (
  select first_failed_at from dead_letters d where d.state = each.state and d.fingerprint = g.fingerprint
    order by last_failed_at limit ${OLDEST_READ}) as oldest where oldest.first_failed_at <= $1)
order by letters desc, g.at desc limit ${MOST_NEWS}`

const HEALED = `select name, text, opened_at as "openedAt", resolved_at as "resolvedAt" from incidents
  where resolved_at > $1 and notified_at is not null and recovery_notified_at is distinct from resolved_at order by resolved_at desc limit ${MOST_NEWS}`

// IDWise tries for half an hour, so the last refusal was not long before.
const CAME_AGAIN = `select count(*)::float8 as count from (select from refusals
  where last_refused_at > $1::timestamptz - interval '1 day' and made_up_at > $1 limit ${MOST_COUNTED + 1}) as found`

/** @param person whose own acts are left out */
export async function readNewsSince(
  db: Pick<Db, 'pool'>,
  { since, person }: { since: Date; person: string },
): Promise<SinceNews> {
  const [groups, acts, healed, again] = await Promise.all([
    db.pool.query<Omit<NewGroup, 'letters'> & { letters: number; total: number }>(GROUPS, [
      since,
      DEAD_LETTER_STATES,
    ]),
    listActions(db, { since, notBy: person }, { limit: MOST_NEWS }),
    db.pool.query<SinceNews['healed'][number]>(HEALED, [since]),
    db.pool.query<{ count: number }>(CAME_AGAIN, [since]),
  ])
  return {
    groups: groups.rows.map(({ letters, total: _, ...group }) => ({ ...group, letters: amount(letters) })),
    moreGroups: (groups.rows[0]?.total ?? 0) - groups.rows.length,
    acts,
    healed: healed.rows,
    cameAgain: amount(again.rows[0]?.count ?? 0),
  }
}

const amount = (count: number): Amount => ({
  count: Math.min(count, MOST_COUNTED),
  isMore: count > MOST_COUNTED,
})
