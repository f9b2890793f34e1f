import { sql } from 'drizzle-orm'
import {
  bigint,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' })
const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/**
 * One row per event, written once by the transaction that lands it. Only `duplicates` moves afterwards, by one for
 * each further delivery of the same bytes.
 */
export const events = pgTable(
  'events',
  {
    eventKey: bytea('event_key').primaryKey(),
    environment: text('environment').notNull(),
    /** As received. */
    event: text('event'),
    kind: text('kind').notNull(),
    eventId: text('event_id'),
    journeyId: text('journey_id'),
    referenceNo: text('reference_no'),
    systemDecision: text('system_decision'),
    manualDecision: text('manual_decision'),
    finalDecision: text('final_decision'),
    /** What only some event types carry: step, action, trigger, AML version, required steps. */
    details: jsonb('details'),
    /** The whole request body; null where it is not JSON. Read from `raw`, which is the truth. */
    body: jsonb('body'),
    raw: bytea('raw').notNull(),
    bodySha256: bytea('body_sha256').notNull(),
    /** Source address, content type, user agent and trace context of the first delivery; when it was received by an
     * ingest's clock that was ahead (`claimedAt`). */
    request: jsonb('request'),
    /** The delivery that made this row: a second run of the same job is no duplicate. */
    deliveryId: text('arrival').notNull(),
    receivedAt: time('received_at').notNull(),
    processedAt: time('processed_at').notNull().defaultNow(),
    duplicates: integer('duplicates').notNull().default(0),
    via: text('via').notNull(),
  },
  (table) => [
    index('events_by_event_id').on(table.eventId).where(sql`event_id is not null`),
    index('events_by_journey').on(table.journeyId).where(sql`journey_id is not null`),
    // Those of a journey are found through it, which spares almost every event an entry here.
    index('events_by_reference')
      .on(table.referenceNo)
      .where(sql`reference_no is not null and journey_id is null`),
    // Events without id are the same event within an hour: landing asks for the newest one with these bytes.
    index('events_anonymous').on(table.bodySha256, table.receivedAt).where(sql`event_id is null`),
  ],
)

/**
 * One row per journey: the fold of all of its stored events (`foldJourney`), written by the transaction that lands one
 * of them. `foldJourney` names the states of `stage`, `resubmission` and `renewal`.
 */
export const journeys = pgTable(
  'journeys',
  {
    environment: text('environment').notNull(),
    journeyId: text('journey_id').notNull(),
    referenceNo: text('reference_no'),
    stage: text('stage').notNull(),
    systemDecision: text('system_decision'),
    manualDecision: text('manual_decision'),
    finalDecision: text('final_decision'),
    amlVersion: bigint('aml_version', { mode: 'number' }),
    resubmission: text('resubmission'),
    renewal: text('renewal'),
    events: integer('events').notNull(),
    firstEventAt: time('first_event_at').notNull(),
    lastEventAt: time('last_event_at').notNull(),
    needsAttention: text('needs_attention'),
    /** What its events say (`writeDigest`), for the next fold alone; null where they must be read. */
    told: text('told'),
    /** When the row last changed. Without an index: with one, no change of a row could stay on its page. */
    updatedAt: time('updated_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.environment, table.journeyId] }),
    index('journeys_by_reference').on(table.referenceNo).where(sql`reference_no is not null`),
    index('journeys_needing_attention')
      .on(table.environment, table.journeyId)
      .where(sql`needs_attention is not null`),
  ],
)

/**
 * One row per event that could not be landed, keyed by its job.
 *
 * State: `open` when the worker or the sweeper writes it → `replaying` by a replay, which puts the envelope into the
 * inbox in the same transaction → `resolved` by the transaction that lands it, or `open` again when it fails anew.
 * `open` → `discarded` by an operator. A new delivery of a resolved or discarded event that fails opens it again.
 */
export const deadLetters = pgTable(
  'dead_letters',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    jobId: text('job_id').notNull().unique(),
    eventKey: bytea('event_key'),
    environment: text('environment'),
    event: text('event'),
    eventId: text('event_id'),
    journeyId: text('journey_id'),
    referenceNo: text('reference_no'),
    reason: text('reason').notNull(),
    errorClass: text('error_class').notNull(),
    errorMessage: text('error_message').notNull(),
    /** Groups what fails alike: reason, class and message without its varying parts. */
    fingerprint: text('fingerprint').notNull(),
    attempts: integer('attempts').notNull(),
    raw: bytea('raw').notNull(),
    /** The job's data as it was, which a replay sends again. */
    envelope: text('envelope').notNull(),
    deliveryId: text('arrival'),
    receivedAt: time('received_at'),
    firstFailedAt: time('first_failed_at').notNull().defaultNow(),
    lastFailedAt: time('last_failed_at').notNull().defaultNow(),
    state: text('state').notNull().default('open'),
    replays: integer('replays').notNull().default(0),
  },
  (table) => [
    index('dead_letters_by_state').on(table.state, table.id),
    index('dead_letters_by_event_key').on(table.eventKey),
    // Folding a journey asks for the conflicts of its events that nobody has decided about.
    index('dead_letters_conflicts')
      .on(table.eventKey)
      .where(sql`reason = 'conflict' and state in ('open', 'replaying')`),
    index('dead_letters_by_journey').on(table.journeyId),
    index('dead_letters_by_reference').on(table.referenceNo),
    index('dead_letters_by_event_id').on(table.eventId),
    index('dead_letters_anonymous').on(sql`sha256(raw)`).where(sql`event_id is null`),
  ],
)

/**
 * The queue in Postgres: inserted by ingest (and by a replay), deleted by the transaction that lands the event or
 * writes its dead letter. A row that fails stays, with `attempts` and `available_at` moved on.
 */
export const inbox = pgTable(
  'inbox',
  {
    jobId: text('job_id').primaryKey(),
    /** JSON text; never parsed by Postgres. */
    envelope: text('envelope').notNull(),
    /** Further deliveries of the same bytes while the row waits. */
    duplicates: integer('duplicates').notNull().default(0),
    /** The dead letter that this row replays. */
    replayOf: bigint('replay_of', { mode: 'number' }),
    attempts: integer('attempts').notNull().default(0),
    availableAt: time('available_at').notNull().defaultNow(),
    lastError: text('last_error'),
    /** In how many crashes of its worker the row was under way. */
    crashes: integer('crashes').notNull().default(0),
  },
  (table) => [
    index('inbox_by_available_at').on(table.availableAt),
    // What is taken alone; without it each look for such rows would pass over all that was ever taken.
    index('inbox_suspects').on(table.crashes, table.availableAt).where(sql`crashes >= 2`),
  ],
)

/**
 * What each worker has taken from the inbox, written beside the transaction that lands it. A row that outlives its
 * worker tells which inbox rows were under way when it crashed.
 */
export const inboxClaims = pgTable('inbox_claims', {
  worker: text('worker').primaryKey(),
  jobIds: text('job_ids').array().notNull(),
  claimedAt: time('claimed_at').notNull().defaultNow(),
})

/**
 * Who may do a duty that one process at a time does. A row that has expired is free; its holder renews it while it works.
 */
export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  expiresAt: time('expires_at').notNull(),
})

/** The running ingests and workers, each of which writes its row every few seconds and deletes it at its orderly end. */
export const processes = pgTable('processes', {
  id: text('id').primaryKey(),
  /** ingest, worker */
  app: text('app').notNull(),
  /** The version of Sluice that it runs. */
  release: text('release').notNull(),
  /** Null where it uses the inbox alone. */
  queuePrefix: text('queue_prefix'),
  queueShards: integer('queue_shards'),
  /** The shards that a worker takes; null for an ingest. */
  shards: integer('shards').array(),
  startedAt: time('started_at').notNull().defaultNow(),
  seenAt: time('seen_at').notNull().defaultNow(),
})

/** Every act of a person or script on what has been received, written in the transaction of the act. */
export const operatorActions = pgTable('operator_actions', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  at: time('at').notNull().defaultNow(),
  /** Who: the name of the operator or the system user of the command line. */
  actor: text('actor').notNull(),
  /** An `OperatorActionName`. */
  action: text('action').notNull(),
  /** On what, for example `dead_letter 42`. */
  target: text('target').notNull(),
  reason: text('reason'),
})
