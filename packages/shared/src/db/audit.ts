import { JOURNEY_COLUMNS, type JourneyColumnValues } from './journey-columns.ts'
import type { Db } from './pool.ts'

const PAGE = 5_000

/** All rows of the tables, page by page, to compare them with the events that were sent. Hashes are hex. */
export type Audit = {
  events(): AsyncGenerator<AuditedEvent>
  deadLetters(): AsyncGenerator<AuditedDeadLetter>
  journeys(): AsyncGenerator<AuditedJourney>
}

type AuditedEvent = {
  environment: string
  event: string | null
  kind: string
  event_id: string | null
  journey_id: string | null
  reference_no: string | null
  system_decision: string | null
  manual_decision: string | null
  final_decision: string | null
  body: unknown
  /** Of the stored bytes, as Postgres computes it now. */
  body_sha256: string
  /** As it was stored with them. */
  stored_sha256: string
  duplicates: number
  received_at: Date
}

type AuditedDeadLetter = {
  environment: string
  event_id: string | null
  journey_id: string | null
  reason: string
  state: string
  body_sha256: string
}

type AuditedJourney = { environment: string; journey_id: string } & JourneyColumnValues

const JOURNEY = JOURNEY_COLUMNS.map(({ name, type }) => (type === 'bigint' ? `${name}::float8` : name)).join(
  ', ',
)

export function createAudit(db: Db): Audit {
  return {
    events: () =>
      pages<AuditedEvent & { at: string[] }>(
        db,
        `select environment, event, kind, event_id, journey_id, reference_no, system_decision, manual_decision,
          final_decision, body, encode(sha256(raw), 'hex') as body_sha256, encode(body_sha256, 'hex') as stored_sha256,
          duplicates, received_at, array[processed_at::text, n::text, encode(event_key, 'hex')] as at
          from events where (processed_at, n, event_key) >
            (($1::text[])[1]::timestamptz, ($1::text[])[2]::smallint, decode(($1::text[])[3], 'hex'))
          order by processed_at, n, event_key limit ${PAGE}`,
        ['-infinity', '0', ''],
      ),
    deadLetters: () =>
      pages<AuditedDeadLetter & { at: string }>(
        db,
        `select environment, event_id, journey_id, reason, state, encode(sha256(raw), 'hex') as body_sha256, id as at
          from dead_letters where id > $1 order by id limit ${PAGE}`,
        0,
      ),
    journeys: () =>
      pages<AuditedJourney & { at: string[] }>(
        db,
        `select environment, journey_id, ${JOURNEY}, array[environment, journey_id] as at from journeys
          where (environment, journey_id) > (($1::text[])[1], ($1::text[])[2])
          order by environment, journey_id limit ${PAGE}`,
        ['', ''],
      ),
  }
}

async function* pages<Row extends { at: unknown }>(
  db: Db,
  sql: string,
  start: Row['at'] | number,
): AsyncGenerator<Row> {
  let after: unknown = start
  for (;;) {
    const { rows } = await db.pool.query<Row>(sql, [after])
    yield* rows
    if (rows.length < PAGE) return
    after = rows.at(-1)?.at
  }
}
