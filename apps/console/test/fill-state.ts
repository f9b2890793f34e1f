import type { World } from '@sluice/testkit/world'

/** An hour of events, of which some were refused; and dead letters, some of strangers who wrote HTML. */
export async function fillState(world: World): Promise<void> {
  await world.rows(
    `insert into minutes (minute, process, role, counters)
      select date_trunc('minute', now()) - m * interval '1 minute', 'made up', 'ingest', jsonb_build_object(
        'counts', jsonb_build_object('answers live accepted', 1200 + (m * 7919) % 700, 'answers none unauthorised', 1)
          || case when m between 3 and 5 then '{"answers live unavailable": 4}' else '{}' end::jsonb,
        'last', jsonb_build_object('live', $1::float8, 'sandbox', $1::float8 - 7200000))
      from generate_series(0, 59) as m
      union all select date_trunc('minute', now()), 'worker made up', 'worker',
        '{"counts": {"handled redis landed": 1812, "handled inbox duplicate": 3, "landSeconds 0.05": 1300,
          "landSeconds 0.25": 1700, "landSeconds 1": 1800, "landSeconds +Inf": 1812}}'`,
    [Date.now() - 4_000],
  )
  await world.rows(`insert into refusals (event_key, environment, event, event_id, journey_id, first_refused_at,
      last_refused_at, deliveries)
    select sha256(n::text::bytea), case n when 2 then 'sandbox' else 'live' end, 'Finished Journey', 'event-' || n,
      '6925c1e7' || n, now() - n * n * interval '4 min', now() - n * n * interval '4 min', 1
    from generate_series(1, 3) as n`)
  await world.rows(`insert into dead_letters (job_id, reason, error_class, error_message, fingerprint, attempts, raw,
      envelope, environment, event, last_failed_at)
    select 'job-' || n, case n % 3 when 0 then 'conflict' else 'rejected_by_database' end, '22003',
      case n % 3 when 0 then 'another body is stored under this id' when 1 then 'numeric field overflow'
        else '<img src=x onerror=alert(1)>' end, 'group-' || n % 3, 1, '', '', 'live', 'Updated Journey',
      now() - n * interval '9 min' from generate_series(1, 287) as n`)
}
