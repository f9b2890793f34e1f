import type { Db } from './pool.ts'

const PAGE = 5_000

/**
 * Every row of a table that matters to somebody who compares what was sent with what is stored, page by page. Hashes
 * are hex.
 */
export type Audit = {
  events(): AsyncGenerator<AuditedEvent>
  deadLetters(): AsyncGenerator<AuditedDeadLetter>
  journeys(): AsyncGenerator<AuditedJourney>
}

export type AuditedEvent = {
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
  /** Of the bytes that are stored. */
  body_sha256: string
  /** The column beside them. */
  stored_sha256: string
  duplicates: number
  received_at: Date
}

export type AuditedDeadLetter = {
  environment: string
  event_id: string | null
  journey_id: string | null
  reason: string
  state: string
  body_sha256: string
}

export type AuditedJourney = {
  environment: string
  journey_id: string
  reference_no: string | null
  stage: string
  system_decision: string | null
  manual_decision: string | null
  final_decision: string | null
  aml_version: number | null
  resubmission: string | null
  renewal: string | null
  events: number
  first_event_at: Date
  last_event_at: Date
  needs_attention: string | null
}

export function createAudit(db: Db): Audit {
  return {
    events: () =>
      pages<AuditedEvent & { at: Buffer }>(
        db,
        `select environment, event, kind, event_id, journey_id, reference_no, system_decision, manual_decision,
          final_decision, body, encode(sha256(raw), 'hex') as body_sha256, encode(body_sha256, 'hex') as stored_sha256,
          duplicates, received_at, event_key as at from events where event_key > $1 order by event_key limit ${PAGE}`,
        Buffer.alloc(0),
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
        `select environment, journey_id, reference_no, stage, system_decision, manual_decision, final_decision,
          aml_version::float8, resubmission, renewal, events, first_event_at, last_event_at, needs_attention,
          array[environment, journey_id] as at from journeys
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
