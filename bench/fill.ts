import type { Db } from '@sluice/shared/db'

const ROWS_AT_ONCE = 500_000
const MONTHS = 36
/** As many events as a worker lands in one transaction. */
const BATCH = 400

// As landing writes them: five events of about 200 bytes in a journey, and the key of each.
const EVENTS = `
with bodies as (
  select n, sha256(('key' || n)::bytea) as key, $3::timestamptz + (n / ${BATCH} * ${BATCH})::float8 / $4::int
      * (now() - interval '2 days' - $3::timestamptz) as landed_at,
    format('{"event":"Finished Step","body":{"eventId":"%s","journeyId":"%s","referenceNo":"CUST-%s",'
      '"systemDecision":"Incomplete"}}', 'grown-bf41-4c09-9d27-4ef1-' || n, 'grown-' || n / 5, n / 5) as body
  from generate_series($1::int, $2::int) as n),
keys as (
  insert into event_keys (key, landed_at, n, body)
  select encode(substr(key, 1, 16), 'hex')::uuid, landed_at, n % ${BATCH}, substr(sha256(body::bytea), 1, 8) from bodies)
insert into events (event_key, environment, event, kind, event_id, journey_id, reference_no, system_decision, body, raw,
  body_sha256, request, delivery_id, received_at, processed_at, n, via)
select key, 'live', 'Finished Step', 'finished_step', 'grown-bf41-4c09-9d27-4ef1-' || n, 'grown-' || n / 5,
  'CUST-' || n / 5, 'Incomplete', body::jsonb, body::bytea, sha256(body::bytea),
  '{"contentType": "application/json", "sourceAddress": "127.0.0.1"}', 'grown-' || n, landed_at - interval '1 second',
  landed_at, n % ${BATCH}, 'redis' from bodies`

const JOURNEYS = `
insert into journeys (environment, journey_id, reference_no, stage, system_decision, final_decision, events,
  first_event_at, last_event_at)
select 'live', 'grown-' || n, 'CUST-' || n, 'in_progress', 'Incomplete', 'Incomplete', 5, at, at
from generate_series($1::int, $2::int) as n, lateral (select $3::timestamptz + n * 5::float8 / $4::int
  * (now() - interval '2 days' - $3::timestamptz) as at) as times`

const INDEXES = `select indexname as name, replace(indexdef, ' ON ONLY ', ' ON ') as definition from pg_indexes
  where tablename in ('events', 'journeys') and indexname not like '%\\_pk%' and indexname <> 'events_pkey'`

/**
 * Fills the tables with events `from` to `to` of the last three years, in monthly partitions. The indexes are dropped
 * meanwhile: to make them again takes a fraction of the time that updating them takes.
 *
 * @param most the number of events that there will be at last
 */
export async function fillTables(
  { pool }: Db,
  { from, to, most }: { from: number; to: number; most: number },
  report: (line: string) => void,
): Promise<void> {
  if (to <= from) return
  const { rows: started } = await pool.query<{ since: Date }>(
    `select date_trunc('month', now() - interval '${MONTHS} months') as since`,
  )
  const since = started[0]?.since as Date
  await makePastPartitions(pool)
  const { rows: indexes } = await pool.query<{ name: string; definition: string }>(INDEXES)
  for (const { name } of indexes) await pool.query(`drop index ${name}`)
  await pool.query('alter table event_keys drop constraint if exists event_keys_pkey')
  for (let first = from + 1; first <= to; first += ROWS_AT_ONCE) {
    report(`filling up to ${to} events: ${first - 1}`)
    await pool.query(EVENTS, [first, Math.min(to, first + ROWS_AT_ONCE - 1), since, most])
  }
  await pool.query(JOURNEYS, [Math.floor(from / 5) + 1, Math.floor(to / 5), since, most])
  report('making the indexes')
  await pool.query('alter table event_keys add primary key (key)')
  for (const { definition } of indexes) await pool.query(definition)
  await pool.query('vacuum analyze events, event_keys, journeys')
}

async function makePastPartitions(pool: Db['pool']): Promise<void> {
  await pool.query(`do $$ declare since timestamptz; name text; begin
    for since in select generate_series(date_trunc('month', now() - interval '${MONTHS} months'),
      date_trunc('month', now()) - interval '1 month', interval '1 month')
    loop
      name := 'events_' || to_char(since, 'YYYYMMDD');
      if to_regclass(name) is null then
        execute format('create table %I partition of events for values from (%L) to (%L)', name, since,
          since + interval '1 month');
      end if;
    end loop; end $$`)
}
