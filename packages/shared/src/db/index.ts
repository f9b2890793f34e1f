/** This file is long, because it lists all that others may use of the database. */
export { absorbPartition } from './absorb.ts'
export { type AlertFacts, readAlertFacts } from './alert-facts.ts'
export { type Audit, createAudit } from './audit.ts'
export { checkNewSession, checkPostgres } from './check.ts'
export {
  type ActOutcome,
  DEAD_LETTER_STATES,
  type DeadLetterAct,
  type DeadLetterState,
  discardDeadLetter,
  replayDeadLetter,
  undoDiscard,
} from './dead-letter-acts.ts'
export {
  groupDeadLetters,
  type LetterGroup,
  type LetterGroups,
  type SingleAct,
  singleActsOn,
} from './dead-letter-groups.ts'
export {
  countDeadLetters,
  type DeadLetter,
  type DeadLetterSummary,
  getDeadLetter,
  type LetterCount,
  type LetterSet,
  listDeadLetters,
  measureDeadLetters,
} from './dead-letter-queries.ts'
export { causeWithoutValues, letterOf, writeDeadLetters } from './dead-letters.ts'
export { type Amount, type OpenLetters, readInboxDepth, readOpenLetters } from './depth.ts'
export { detachPartition, dropDetached, listDetached, recordDropped } from './detach.ts'
export {
  countStretch,
  type Landed,
  type LookedAt,
  noteLook,
  readLook,
  readSlice,
  readStretch,
  type Stretch,
  timesIn,
} from './drift-looks.ts'
export {
  acknowledgeDrifts,
  countDrifts,
  type DriftRow,
  type FoundDrift,
  listDrifts,
  noteDrifts,
} from './drift-rows.ts'
export { type Enclosed, readEnclosed } from './enclosed.ts'
export { purgeTables, STATISTICS } from './erase-files.ts'
export { type ErasableJourney, findErasable, type Sought } from './erase-names.ts'
export { eraseRows, keepKeysOut, keysOf } from './erase-rows.ts'
export { findRemnants, type Remnant, remnantOf } from './erase-scan.ts'
export {
  countRefusals,
  createBodyMatcher,
  createMatcher,
  journeyOf,
  keyOf,
  searchEvents,
  searchInbox,
  searchLetters,
  type Wanted,
} from './erase-search.ts'
export {
  createErased,
  createErasedSubjects,
  createSubjectHash,
  type Erased,
  type ErasedSubjects,
  type Subject,
  textOf,
} from './erased.ts'
export {
  addProgress,
  appendReceipt,
  type Erasure,
  endErasure,
  landingsEnded,
  listErasures,
  markErased,
  readErasure,
  readInstallation,
  requestAgain,
  requestErasure,
  unpurgedTables,
} from './erasures.ts'
export type { GoneEvent } from './event-keys.ts'
export {
  type LetterAct,
  type LetterOfEvent,
  readEvent,
  readLetterActs,
  readLettersOf,
  readPreviousEvent,
  readRefusal,
  type WholeEvent,
} from './event-page.ts'
export { findEvent } from './event-queries.ts'
export type { Job } from './event-row.ts'
export {
  type EventFilters,
  type EventPlace,
  type EventSource,
  type EventsRead,
  readClock,
  readEventsPage,
  SLICE,
} from './events-page.ts'
export { expectReplicas } from './expected-replicas.ts'
export {
  classifyFailure,
  isFullOfNotifications,
  isNotMigrated,
  isTooSlow,
  isWithoutPartition,
} from './failure.ts'
export { databaseUrl, placeOf } from './hosts.ts'
export {
  delayInbox,
  type InboxRow,
  inboxBacklog,
  postponeInbox,
  putBackInbox,
  retakeInbox,
  takeInbox,
} from './inbox.ts'
export { countCrashes, dropClaim, noteClaim } from './inbox-claims.ts'
export { insertInbox, notifyInbox, relandInbox } from './inbox-insert.ts'
export { listenInbox } from './inbox-listener.ts'
export { findInboxRows, sampleInbox } from './inbox-sample.ts'
export {
  acknowledgeIncident,
  listIncidents,
  muteIncidents,
  type ShownIncident,
} from './incident-acts.ts'
export {
  type Condition,
  claimMessage,
  countIncidents,
  type DueMessage,
  holdIncidents,
  recordTold,
  releaseMessage,
  resolveUnseen,
  seeCondition,
  settleMessage,
} from './incidents.ts'
export { type Installation, nameInstallation } from './installation-name.ts'
export {
  readJourney,
  readJourneysBeside,
  readLettersOfJourney,
  readRefusalsOfJourney,
  readUsualGap,
  type UsualGap,
} from './journey-page.ts'
export {
  findJourneys,
  type JourneyStory,
  type JourneyStoryEvent,
  readJourneyStory,
  rebuildJourneys,
  type StoredJourney,
} from './journey-queries.ts'
export { type JourneyName, nameOf } from './journey-rows.ts'
export type { JourneyChange } from './journeys.ts'
export { toJsonb } from './jsonb.ts'
export { type LandingOutcome, type LandOptions, landJobs } from './landing.ts'
export { dropLease, holdLease, withLease } from './lease.ts'
export { keepsFirst, type LetterFailure } from './letter-failures.ts'
export { isEmptyFilter, type LetterFilter, letterFilter } from './letter-filter.ts'
export { type Preview, previewLetters } from './letter-preview.ts'
export { type LetterPlace, type LettersRead, type LetterView, readLettersPage } from './letters-page.ts'
export { mentions } from './mentions.ts'
export { migrateSchema, type SchemaState, schemaState } from './migrate.ts'
export { recordMinutes } from './minute-recorder.ts'
export {
  type MinuteRow,
  type RejectedKind,
  readMinutes,
  readSameHours,
  readSpans,
  type SpanRow,
} from './minutes.ts'
export { type OpenWork, readOpenWork } from './open-work.ts'
export {
  ACTED_ON,
  findSameOperation,
  insertOperation,
  listOperations,
  lockStarts,
  OPERATION_KINDS,
  type Operation,
  type OperationKind,
  type OperationState,
  operationsOn,
  readOperation,
  STEERING_NAMES,
  type SteeringName,
  steeringOf,
  steerOperation,
} from './operation-rows.ts'
export { nextStepMs, stepOperation } from './operation-steps.ts'
export {
  listActions,
  type RecordedAction,
  recordAction,
} from './operator-actions.ts'
export { contentOf, readLines } from './partition-rows.ts'
export {
  ensurePartitions,
  listPartitions,
  nameInSql,
  type Partition,
  type Period,
  retentionPartition,
} from './partitions.ts'
export { pingPostgres } from './ping.ts'
export { type Connection, createDb, type Db, type TransactionLimits } from './pool.ts'
export { ANY_EVENT, type EventShape, probeLanding, shapeOf } from './probe.ts'
export {
  announceProcess,
  BEAT_MS,
  checkProcesses,
  compareProcesses,
  describeProcess,
  type SeenProcess,
  seenProcesses,
} from './processes.ts'
export { countRedeliveries } from './redeliveries.ts'
export {
  deleteOldRecords,
  listOpenRefusals,
  markMadeUp,
  type Refusal,
  type RefusedSince,
  type RefusedTogether,
  readOpenRefusals,
  readRefusedSince,
  writeRefusals,
} from './refusals.ts'
export { checkRetention, coveredUntil } from './retention-check.ts'
export { deleteDeadLetters, deleteKeys } from './retention-deletes.ts'
export {
  behindMs,
  findOverdue,
  limitOf,
  type Overdue,
  overduePartitions,
  type SizedPartition,
  sizePartitions,
} from './retention-plan.ts'
export {
  acceptTerms,
  describeTerms,
  FOR_EVER,
  mustBeAccepted,
  type RetentionState,
  readRetention,
  settleTerms,
  type Terms,
} from './retention-state.ts'
export type { ErasureProgress, Looked } from './schema.ts'
export {
  type EventSummary,
  findByKeys,
  findByNames,
  findKeyStarts,
  keysOfId,
  type Of,
  readEnvironments,
} from './search-events.ts'
export {
  findIdsOfReference,
  findJourneysOf,
  findLetters,
  findNeighbours,
  findReferenceStarts,
  findRefused,
  type JourneySummary,
  type LetterSummary,
  type Neighbour,
  type RefusedEvent,
} from './search-others.ts'
export { readNewsSince, type SinceNews } from './since.ts'
export { readStandbys, type Standbys } from './standbys.ts'
