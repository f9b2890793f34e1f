import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  jsonb,
  pgSequence,
  pgTable,
  primaryKey,
  real,
  smallint,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { SUSPECT_AFTER } from '../disposition.ts'
import type { DriftKind } from '../idwise/drift.ts'
import { OPEN_CONFLICT, type StoredJourneyEvent } from '../journey/event.ts'
import type { Journey } from '../journey/fold.ts'

/** This file is long, because it has every table. */
const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' })
const time = <Name extends string>(name: Name) => timestamp(name, { withTimezone: true, mode: 'date' })

/**
 * One row per event that has ever landed: it decides that an event takes effect once, also when the event itself is
 * gone. The transaction that inserts the event inserts it, and nothing else but a term for keys deletes it.
 *
 * - with a place (`landed_at`, `n`) in a partition that exists: the event is stored there;
 * - with a place before `retention.dropped_before`: the event was dropped with its partition;
 * - without `n`: its content has been erased, or came after the erasure and was never stored.
 */
export const eventKeys = pgTable(
  'event_keys',
  {
    /** The first 16 bytes of the event key. Two keys that begin alike would show as a conflict. */
    key: uuid('key').primaryKey(),
    /** The `processed_at` of the event: it leads to the partition. */
    landedAt: time('landed_at').notNull(),
    /** The event's number in its batch. */
    n: smallint('n'),
    /** The first 8 bytes of the body's SHA-256: they tell a redelivery from a conflict when the event is gone. */
    body: bytea('body').notNull(),
  },
  (table) => [index('event_keys_by_time').using('brin', table.landedAt)],
)

/**
 * One row per event, inserted by the transaction that lands it. Each further delivery of the same bytes adds one to
 * `duplicates`, and moves `received_at` back if it was received earlier. Partitioned by `processed_at`, which never
 * changes; a look-up should bound it, or it reads an index of each partition.
 */
export const events = pgTable(
  'events',
  {
    eventKey: bytea('event_key').notNull(),
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
    /** The request body as a document, read from `raw`; null if it is not JSON, or not JSON that `jsonb` takes. */
    body: jsonb('body'),
    raw: bytea('raw').notNull(),
    bodySha256: bytea('body_sha256').notNull(),
    /**
     * Of the delivery that made this row: source address, content type and encoding, user agent and trace context.
     * `claimedAt` is the time of receipt by the ingest's clock, if that was ahead.
     */
    request: jsonb('request'),
    /** Of the delivery that made this row, so that a second run of the same job does not count as a redelivery. */
    deliveryId: text('delivery_id').notNull(),
    receivedAt: time('received_at').notNull(),
    processedAt: time('processed_at').notNull().defaultNow(),
    duplicates: integer('duplicates').notNull().default(0),
    via: text('via').notNull(),
    /** Its number in its batch, as in `event_keys`. Of a release that had none: 0. */
    n: smallint('n').notNull().default(0),
  },
  (table) => [
    index('events_by_time').on(table.processedAt, table.n),
    index('events_by_journey').on(table.journeyId).where(sql`journey_id is not null`),
    // Only for events without journey; the others are found by their journey. The operators find prefixes as well.
    index('events_by_reference')
      .on(table.referenceNo.op('text_pattern_ops'))
      .where(sql`reference_no is not null and journey_id is null`),
    // An event without id is known by its bytes, for an hour.
    index('events_anonymous').on(table.bodySha256, table.receivedAt).where(sql`event_id is null`),
    // The key of an event follows from its id and one of the known names, so only the others need an index.
    index('events_unrecognised').on(table.eventId).where(sql`kind = 'unrecognised'`),
    index('events_unrecognised_by_time').on(table.processedAt).where(sql`kind = 'unrecognised'`),
  ],
)

/** Who may drop events, and what has been dropped. It has one row. */
export const retention = pgTable('retention', {
  id: boolean('id').primaryKey().default(true),
  /** All events that landed before this are gone, with their partitions. */
  droppedBefore: time('dropped_before'),
  /** Keys older than this are gone. */
  keysBefore: time('keys_before'),
  /** The terms that a run has announced, and those that an operator has accepted after it. Only these are acted on. */
  announced: jsonb('announced'),
  announcedAt: time('announced_at'),
  accepted: jsonb('accepted'),
  acceptedAt: time('accepted_at'),
  acceptedBy: text('accepted_by'),
})

/** `tables` are those whose files had rows of it. */
export type ErasureProgress = {
  readonly counts: Readonly<Record<string, number>>
  readonly tombstones: number
  readonly tables: readonly string[]
}

/**
 * One row per erasure of a journey or a reference number.
 *
 * State: requested when the row is written, so that no content of the subjects lands any more → `erased_at`: no query
 * finds any → `purged_at`: the stores have rewritten their files.
 */
export const erasures = pgTable('erasures', {
  n: bigint('n', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  /** journey, reference */
  kind: text('kind').notNull(),
  /**
   * HMAC-SHA-256 of kind, environment and id with the key of this installation: the ids themselves are not kept. Of a
   * reference number also those of its journeys.
   */
  subjects: bytea('subjects').array().notNull(),
  actor: text('actor').notNull(),
  reason: text('reason'),
  requestedAt: time('requested_at').notNull().defaultNow(),
  erasedAt: time('erased_at'),
  purgedAt: time('purged_at'),
  /** What was deleted so far, so that an interrupted erasure can tell all of it. */
  progress: jsonb('progress')
    .$type<ErasureProgress>()
    .notNull()
    .default({ counts: {}, tombstones: 0, tables: [] }),
  /** The signed receipt; null until the erasure has ended. */
  receipt: jsonb('receipt'),
  /** Events that came after the erasure and landed as keys alone. */
  late: integer('late').notNull().default(0),
  lastLateAt: time('last_late_at'),
})

/** Goes up after each commit of a row of `erasures`, so that workers read them anew (`erasure-fence.ts`). */
export const erasuresRequested = pgSequence('erasures_requested')

/** It has one row. */
export const installation = pgTable('installation', {
  id: boolean('id').primaryKey().default(true),
  /** Made by the migration: for the subjects of erasures and the signatures of receipts. */
  secret: bytea('secret').notNull(),
  /** The SHA-256 of the newest receipt; null if there is none. */
  lastReceipt: bytea('last_receipt'),
})

/**
 * One row per journey, written by each transaction that lands one of its events. Between `journey_id` and the digest
 * are the columns of the fold: each field of `Journey`, which names the states of `stage`, `resubmission` and
 * `renewal`.
 */
export const journeys = pgTable(
  'journeys',
  {
    environment: text('environment').notNull(),
    journeyId: text('journey_id').notNull(),
    referenceNo: text('reference_no'),
    stage: text('stage').$type<Journey['stage']>().notNull(),
    systemDecision: text('system_decision'),
    manualDecision: text('manual_decision'),
    finalDecision: text('final_decision'),
    amlVersion: bigint('aml_version', { mode: 'number' }),
    resubmission: text('resubmission').$type<Journey['resubmission']>(),
    renewal: text('renewal').$type<Journey['renewal']>(),
    events: integer('events').notNull(),
    firstEventAt: time('first_event_at').notNull(),
    lastEventAt: time('last_event_at').notNull(),
    needsAttention: text('needs_attention'),
    /** Its events in short (`writeDigest`), for the next fold; null if that must read the events. */
    digest: text('digest'),
    /** Its events that landed before `base_until`, coalesced. They may have been dropped; the fold begins with them. */
    base: jsonb('base').$type<StoredJourneyEvent[]>(),
    baseUntil: time('base_until'),
    /** When the row last changed. It has no index, since with one an update could not stay on its page. */
    updatedAt: time('updated_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.environment, table.journeyId] }),
    index('journeys_by_reference')
      .on(table.referenceNo.op('text_pattern_ops'))
      .where(sql`reference_no is not null`),
    index('journeys_needing_attention')
      .on(table.environment, table.journeyId)
      .where(sql`needs_attention is not null`),
  ],
)

/**
 * The reference numbers that events of a journey have and its row has not, since another one has won. Written by the
 * fold, so only for journeys with more than one. A row is deleted with its journey by an erasure.
 */
export const formerReferences = pgTable(
  'former_references',
  {
    environment: text('environment').notNull(),
    journeyId: text('journey_id').notNull(),
    referenceNo: text('reference_no').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.environment, table.journeyId, table.referenceNo] }),
    index('former_references_by_reference').on(table.referenceNo.op('text_pattern_ops')),
  ],
)

/**
 * Journeys whose row somebody has deleted, written by a trigger. Their next event makes the row anew from all of their
 * events.
 */
export const lostJourneys = pgTable(
  'lost_journeys',
  { environment: text('environment').notNull(), journeyId: text('journey_id').notNull() },
  (table) => [primaryKey({ columns: [table.environment, table.journeyId] })],
)

/** As `writeDeadLetters` writes it; its time as text. */
type EarlierFailure = {
  readonly failedAt: string
  readonly reason: string
  readonly errorClass: string
  readonly errorMessage: string
}

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
    /** Of reason, class, kind, names of the schema and what is fixed in the message: the same if they fail alike. */
    fingerprint: text('fingerprint').notNull(),
    attempts: integer('attempts').notNull(),
    raw: bytea('raw').notNull(),
    /** The job's data, which a replay sends again. */
    envelope: text('envelope').notNull(),
    deliveryId: text('delivery_id'),
    receivedAt: time('received_at'),
    firstFailedAt: time('first_failed_at').notNull().defaultNow(),
    lastFailedAt: time('last_failed_at').notNull().defaultNow(),
    /** The failures before the last one, the newest first, at most nine. */
    earlierFailures: jsonb('earlier_failures').$type<EarlierFailure[]>().notNull().default([]),
    state: text('state').notNull().default('open'),
    replays: integer('replays').notNull().default(0),
    /** The last operation that replayed or discarded it; null if no operation did. */
    operationId: bigint('operation_id', { mode: 'number' }),
  },
  (table) => [
    index('dead_letters_by_state').on(table.state, table.id),
    // Has all that the groups of dead letters show, so that they are counted without reading the table.
    index('dead_letters_by_group').on(
      table.state,
      table.fingerprint,
      table.journeyId,
      table.environment,
      table.id,
      table.firstFailedAt,
      table.lastFailedAt,
    ),
    index('dead_letters_newest').on(table.state, table.fingerprint, table.lastFailedAt),
    index('dead_letters_by_operation')
      .on(table.operationId, table.state)
      .where(sql`operation_id is not null`),
    index('dead_letters_by_event_key').on(table.eventKey),
    // For the fold of a journey.
    index('dead_letters_conflicts').on(table.eventKey).where(sql.raw(OPEN_CONFLICT)),
    index('dead_letters_by_journey').on(table.journeyId),
    index('dead_letters_by_reference_prefix').on(table.referenceNo.op('text_pattern_ops')),
    index('dead_letters_by_event_id').on(table.eventId),
    index('dead_letters_anonymous').on(sql`sha256(raw)`).where(sql`event_id is null`),
  ],
)

/**
 * The queue in Postgres. Ingest or a replay inserts a row; the transaction that lands the event, or writes its dead
 * letter, deletes it. If the landing fails, the row stays, with one more of `attempts` and a later `available_at`.
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
    /** How many workers have crashed while they landed the row. */
    crashes: integer('crashes').notNull().default(0),
  },
  (table) => [
    index('inbox_by_available_at').on(table.availableAt),
    // For rows in quarantine. Without it, a look for them would pass over all rows that were ever claimed.
    index('inbox_suspects')
      .on(table.crashes, table.availableAt)
      .where(sql.raw(`crashes >= ${SUSPECT_AFTER}`)),
  ],
)

/**
 * The inbox rows that each worker has claimed, written outside the transaction that lands them. If a worker crashes,
 * its row here shows which inbox rows it was landing.
 */
export const inboxClaims = pgTable('inbox_claims', {
  worker: text('worker').primaryKey(),
  jobIds: text('job_ids').array().notNull(),
  claimedAt: time('claimed_at').notNull().defaultNow(),
})

/**
 * Which process may do a duty that only one at a time does. It renews its row while it works; one that has expired is
 * free.
 */
export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  expiresAt: time('expires_at').notNull(),
})

/** The running ingests and workers. Each writes its row every few seconds, and deletes it when it stops. */
export const processes = pgTable('processes', {
  id: text('id').primaryKey(),
  /** ingest, worker */
  app: text('app').notNull(),
  /** The version of Sluice that it runs. */
  release: text('release').notNull(),
  /** Null if it uses only the inbox. */
  queuePrefix: text('queue_prefix'),
  queueShards: integer('queue_shards'),
  /** The shards whose jobs a worker claims; null for an ingest. */
  shards: integer('shards').array(),
  startedAt: time('started_at').notNull().defaultNow(),
  seenAt: time('seen_at').notNull().defaultNow(),
})

/**
 * What one process counted in one minute. Each ingest and worker writes its row of the current minute every few
 * seconds, so that figures of the last hours need no count of a big table.
 */
export const minutes = pgTable(
  'minutes',
  {
    minute: time('minute').notNull(),
    /** The id of the process in `processes`. */
    process: text('process').notNull(),
    /** ingest, worker */
    role: text('role').notNull(),
    counters: jsonb('counters').notNull(),
  },
  (table) => [primaryKey({ columns: [table.minute, table.process] })],
)

/**
 * The events that were answered 503, since neither store took them. An ingest writes them once Postgres is back. A duty
 * sets `made_up_at` when an event has come again: it has landed, or is a dead letter.
 */
export const refusals = pgTable(
  'refusals',
  {
    /** Of an event without id, the SHA-256 of its body: only its landing decides its key. */
    eventKey: bytea('event_key').primaryKey(),
    environment: text('environment').notNull(),
    event: text('event'),
    eventId: text('event_id'),
    journeyId: text('journey_id'),
    referenceNo: text('reference_no'),
    firstRefusedAt: time('first_refused_at').notNull(),
    lastRefusedAt: time('last_refused_at').notNull(),
    /** How often it was refused. */
    deliveries: integer('deliveries').notNull(),
    madeUpAt: time('made_up_at'),
  },
  (table) => [
    index('refusals_by_time').on(table.lastRefusedAt),
    index('refusals_open').on(table.lastRefusedAt).where(sql`made_up_at is null`),
  ],
)

/**
 * Replays and discards of many dead letters, which the scheduler carries out piece by piece. Which letters it is about
 * is fixed when it is made: those that are open, match the filter, have an id up to `max_id`, and have not failed
 * since. An undo is about discarded ones.
 *
 * State: `sampling` → `waiting_for_go` (only with a sample) → `running` → `done`, the first and the third ⇄ `paused`;
 * from each of these → `cancelled` by a person, → `stopped` by `stop_after` failures. It has ended when none of its
 * letters is under way.
 */
export const operations = pgTable(
  'operations',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    /** replay, discard, undo */
    kind: text('kind').notNull(),
    filter: jsonb('filter').notNull(),
    /** The filter in words. */
    words: text('words').notNull(),
    /** The fingerprints of its letters, at most 20: a group shows what was done before. */
    fingerprints: text('fingerprints').array().notNull(),
    maxId: bigint('max_id', { mode: 'number' }).notNull(),
    /** How many letters there were when it was made. */
    expected: integer('expected').notNull(),
    /** How many are tried first, before a person lets it go on; null: none. */
    sample: integer('sample'),
    /** Letters a second; null: as fast as it goes. */
    rate: integer('rate'),
    stopAfter: integer('stop_after'),
    reason: text('reason').notNull(),
    actor: text('actor').notNull(),
    state: text('state').notNull(),
    /** Letters up to this id have been acted on. */
    lastId: bigint('last_id', { mode: 'number' }).notNull().default(0),
    /** How many letters it has acted on, and, once it is done, how many another act had reached before. */
    taken: integer('taken').notNull().default(0),
    skipped: integer('skipped').notNull().default(0),
    /** How many of them have landed, and how many have failed again, as last counted. */
    landed: integer('landed').notNull().default(0),
    failed: integer('failed').notNull().default(0),
    countedAt: time('counted_at').notNull().defaultNow(),
    /** When a scheduler looks at it next: it keeps the rate. */
    dueAt: time('due_at').notNull().defaultNow(),
    createdAt: time('created_at').notNull().defaultNow(),
    endedAt: time('ended_at'),
  },
  (table) => [index('operations_under_way').on(table.id).where(sql`ended_at is null`)],
)

/** The acts of people and scripts on stored events and dead letters. Each is written in the transaction of the act. */
export const operatorActions = pgTable(
  'operator_actions',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: time('at').notNull().defaultNow(),
    /** The name of the operator, or the system user of the command line. */
    actor: text('actor').notNull(),
    /** An `OperatorActionName`. */
    action: text('action').notNull(),
    /** For example `dead_letter 42`. */
    target: text('target').notNull(),
    reason: text('reason'),
    /** The operation that acted on this letter for the person; null if the person did it. */
    operationId: bigint('operation_id', { mode: 'number' }),
  },
  (table) => [
    index('operator_actions_by_target').on(table.target, table.id),
    index('operator_actions_of_persons').on(table.id).where(sql`operation_id is null`),
  ],
)

/**
 * What people are told of: one row from the moment a condition of an alert is seen until it is gone. Its texts hold no
 * ids of persons, so an erasure has nothing to look for here.
 */
export const incidents = pgTable(
  'incidents',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    /** The alert: a heading of its runbook. */
    name: text('name').notNull(),
    /** What it is about, if an alert can be about several things at once: a store, the fingerprint of dead letters. */
    subject: text('subject').notNull().default(''),
    /** page, notice */
    severity: text('severity').notNull(),
    text: text('text').notNull(),
    /** When it began; when it began again, if that was soon after its end. */
    openedAt: time('opened_at').notNull().defaultNow(),
    lastSeenAt: time('last_seen_at').notNull().defaultNow(),
    /** When its last message was sent; null: nothing has been said. */
    notifiedAt: time('notified_at'),
    /** When a process began to send a message. Another one may try after a minute. */
    notifyingAt: time('notifying_at'),
    /** How often the present message was claimed and not settled. After the second claim nobody tries again. */
    claims: integer('claims').notNull().default(0),
    /** The most events at stake while it was open. */
    peak: integer('peak'),
    /** Whether people are told when it is over. A dead letter is not over, but settled. */
    recovers: boolean('recovers').notNull().default(true),
    resolvedAt: time('resolved_at'),
    recoveryNotifiedAt: time('recovery_notified_at'),
    acknowledgedBy: text('acknowledged_by'),
    acknowledgedAt: time('acknowledged_at'),
    mutedUntil: time('muted_until'),
  },
  (table) => [uniqueIndex('incidents_open').on(table.name, table.subject).where(sql`resolved_at is null`)],
)

/**
 * How events differ from what is documented: one row per difference, at most 500. It has names, and texts of closed
 * sets, so an erasure has nothing to look for here.
 */
export const drifts = pgTable(
  'drifts',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    environment: text('environment').notNull(),
    kind: text('kind').$type<DriftKind>().notNull(),
    /** Such as `body.riskScore`. */
    path: text('path').notNull(),
    /** The unknown name, text, type or encoding; empty if there is none. */
    value: text('value').notNull(),
    /** The kinds of the events that had it. */
    events: text('events').array().notNull(),
    firstSeenAt: time('first_seen_at').notNull(),
    lastSeenAt: time('last_seen_at').notNull(),
    /** In how many of the events that were looked at. */
    count: bigint('count', { mode: 'number' }).notNull(),
    /** Of unreadable events: how many of a day's events they were, 0 to 1. */
    share: real('share'),
    /** The event key of the last one. It may be gone. */
    sample: bytea('sample').notNull(),
    acknowledgedBy: text('acknowledged_by'),
    acknowledgedAt: time('acknowledged_at'),
  },
  (table) => [uniqueIndex('drifts_by_name').on(table.environment, table.kind, table.path, table.value)],
)

/** Counts of one environment: `untold` unreadable events are in no row of `drifts` yet. */
export type Looked = { readonly events: number; readonly unreadable: number; readonly untold: number }

/** How far the events have been looked at for drift. It has one row. */
export const driftLooks = pgTable('drift_looks', {
  id: boolean('id').primaryKey().default(true),
  /** The place of the last event that was looked at. */
  processedAt: time('processed_at').notNull(),
  n: smallint('n').notNull(),
  lookedAt: time('looked_at').notNull(),
  /** By environment, since `counted_since`. */
  counts: jsonb('counts').$type<Readonly<Record<string, Looked>>>().notNull(),
  countedSince: time('counted_since').notNull(),
})
