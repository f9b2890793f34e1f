import type { Drift } from '../idwise/drift.ts'
import { recordAction } from './operator-actions.ts'
import type { Connection, Db } from './pool.ts'
import type { drifts } from './schema.ts'

/** A difference as it is stored; the event key of its sample in hex. */
export type DriftRow = Omit<typeof drifts.$inferSelect, 'sample'> & { readonly sample: string }

/** What a look has found, with the kinds of the events that had it. Times as Postgres writes them. */
export type FoundDrift = Drift & {
  readonly environment: string
  readonly events: readonly string[]
  readonly count: number
  readonly share: number | null
  readonly firstAt: string
  readonly lastAt: string
  /** Event key, hex. */
  readonly sample: string
}

/** No more rows are made. A sender whose every field has another name in each event fills no table. */
const MOST_ROWS = 500
/** What has not been seen for so long is forgotten. */
const KEPT = `interval '90 days'`

const NOTE = `
with found as (
  select * from jsonb_to_recordset($1::jsonb) as f(environment text, kind text, path text, value text, events text[],
    count bigint, share real, "firstAt" timestamptz, "lastAt" timestamptz, sample text)),
known as (
  update drifts d set count = d.count + f.count, share = f.share, last_seen_at = greatest(d.last_seen_at, f."lastAt"),
    sample = decode(f.sample, 'hex'),
    events = (select array_agg(distinct event order by event) from unnest(d.events || f.events) as event)
  from found f where (d.environment, d.kind, d.path, d.value) = (f.environment, f.kind, f.path, f.value)
  returning d.environment, d.kind, d.path, d.value)
insert into drifts (environment, kind, path, value, events, first_seen_at, last_seen_at, count, share, sample)
select environment, kind, path, value, events, "firstAt", "lastAt", count, share, decode(sample, 'hex') from found f
where not exists (select from known k where (k.environment, k.kind, k.path, k.value) = (f.environment, f.kind, f.path, f.value))
order by "firstAt" limit greatest(0, ${MOST_ROWS} - (select count(*) from drifts))
on conflict do nothing`

/** Adds to the rows of what is known, makes rows for the rest, and forgets what is old. */
export async function noteDrifts(connection: Connection, found: readonly FoundDrift[]): Promise<void> {
  await connection.query(`delete from drifts where last_seen_at < now() - ${KEPT}`)
  if (found.length > 0) await connection.query(NOTE, [JSON.stringify(found)])
}

/** Those that nobody has acknowledged, the newest first; with `all` the others after them. */
export async function listDrifts(
  connection: Connection,
  { all = false, limit = MOST_ROWS }: { all?: boolean; limit?: number } = {},
): Promise<DriftRow[]> {
  const { rows } = await connection.query<DriftRow>(
    `select id::float8 as id, environment, kind, path, value, events, first_seen_at as "firstSeenAt",
        last_seen_at as "lastSeenAt", count::float8 as count, share, encode(sample, 'hex') as sample,
        acknowledged_by as "acknowledgedBy", acknowledged_at as "acknowledgedAt"
      from drifts where acknowledged_at is null or $1 order by acknowledged_at is not null, id desc limit $2`,
    [all, limit],
  )
  return rows
}

/** How many nobody has acknowledged. */
export async function countDrifts(connection: Connection): Promise<number> {
  const { rows } = await connection.query<{ count: number }>(
    'select count(*)::float8 as count from drifts where acknowledged_at is null',
  )
  return rows[0]?.count ?? 0
}

/** Notes that a person knows of them. @returns the numbers of those that nobody had acknowledged */
export function acknowledgeDrifts(
  db: Db,
  { ids, actor, reason }: { ids: readonly number[]; actor: string; reason?: string | undefined },
): Promise<number[]> {
  return db.transaction(async (connection) => {
    const { rows } = await connection.query<{ id: number }>(
      `update drifts set acknowledged_by = $2, acknowledged_at = now()
        where id = any($1::bigint[]) and acknowledged_at is null returning id::float8 as id`,
      [ids, actor],
    )
    const done = rows.map(({ id }) => id).sort((a, b) => a - b)
    for (const id of done) {
      await recordAction(connection, { actor, action: 'acknowledge', target: `drift ${id}`, reason })
    }
    return done
  })
}
