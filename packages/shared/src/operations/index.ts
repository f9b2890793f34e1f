export {
  acceptTerms,
  acknowledgeDrifts,
  acknowledgeIncident,
  countDeadLetters,
  countDrifts,
  DEAD_LETTER_STATES,
  type DeadLetter,
  type DeadLetterState,
  type DeadLetterSummary,
  type DriftRow,
  describeTerms,
  ensurePartitions,
  type GoneEvent,
  getDeadLetter,
  type LetterCount,
  type LetterFilter,
  letterFilter,
  listActions,
  listDeadLetters,
  listDrifts,
  listIncidents,
  listOperations,
  migrateSchema,
  muteIncidents,
  type Operation,
  type OperationKind,
  type OperationState,
  type Preview,
  previewLetters,
  type RecordedAction,
  readLook,
  readNewsSince,
  readOperation,
  rebuildJourneys,
  recordTold,
  type ShownIncident,
  type SinceNews,
  type SingleAct,
  STEERING_NAMES,
  type SteeringName,
  type StoredEvent,
  seeCondition,
  steeringOf,
  steerOperation,
} from '../db/index.ts'
export {
  ALERT_NAMES,
  type AlertSettings,
  type AlertWatch,
  alertSettings,
  alertsOf,
  alertText,
  createVoice,
  deliver,
  GIVES_UP_SOON,
  knowInstallation,
  LOOK_EVERY_MS,
  type Message,
  mayGiveUpSoon,
  meaningOfRefusals,
  type Spoken,
  severityFor,
  startAlertWatch,
  TIMES,
  wordsOfAlert,
} from './alerts/index.ts'
export { listArchives, readArchive, removeUnfinished, rewriteArchive } from './archive-files.ts'
export { auditOnceLanded } from './audit.ts'
export { type Backlog, countBacklog } from './backlog.ts'
export { type ActResult, actOnDeadLetters, type DeadLetterActName } from './dead-letters.ts'
export { examine } from './doctor.ts'
export { describeDrift, eventsOf, lookForDrift } from './drift/index.ts'
export {
  checkErasures,
  type ErasurePlan,
  erase,
  erasureSettings,
  isHeldUp,
  listReceiptFiles,
  planErasure,
  type Receipt,
  readErasures,
  readReceiptFiles,
  reapplyErasures,
  verifyErasures,
  writeReceiptFile,
} from './erasure/index.ts'
export { lookUpEvent } from './events.ts'
export { type ComparedConflict, compareConflict } from './find/conflict.ts'
export { shellWord } from './find/curl-line.ts'
export {
  type EventPage,
  type PreviousEvent,
  readEventPage,
} from './find/event-page.ts'
export {
  checkEventReceipt,
  writeEventReceipt,
} from './find/event-receipt.ts'
export type { Moment } from './find/event-timeline.ts'
export {
  countNewer,
  type EventsPage,
  listEvents,
  NEWER_COUNTED,
} from './find/events-list.ts'
export {
  EVENT_VIEWS,
  type EventsQuery,
  type EventView,
  eventsQuery,
  writeEventsQuery,
} from './find/events-query.ts'
export { type Place, placeOf, type SearchHit, type SearchStatus } from './find/hits.ts'
export {
  type JourneyAsked,
  type JourneyPage,
  type JourneyPageRead,
  readJourneyPage,
} from './find/journey-page.ts'
export { type FoundName, type SearchAnswer, search } from './find/search.ts'
export { type Followed, followEvents } from './find/tail.ts'
export { type JourneyWithTimeline, lookUpJourneys } from './journeys.ts'
export {
  type DeadLetterGroup,
  type DeadLetterGroups,
  describeIssues,
  findGroups,
  inWords,
  type NewOperationRequest,
  newOperation,
  type OperationPlan,
  planOperation,
  runbookOf,
  type StartOutcome,
  startOperation,
} from './letters/index.ts'
export { relandCompleted } from './reland.ts'
export { type RetentionSurvey, surveyRetention } from './retention.ts'
export { retainOnce } from './retention-round.ts'
export { checkTerms, type RetentionPolicy, retentionPolicy, retentionSettings } from './retention-settings.ts'
export {
  type AnswerOutcome,
  type AwaitedRefusal,
  allWaiting,
  amountOf,
  describeState,
  figureTexts,
  isAlive,
  listRefusals,
  perMinute,
  REFUSED,
  type Recorded,
  type RefusedOutcome,
  readGauges,
  readState,
  type State,
  type StoreGauges,
} from './state/index.ts'
export { knownEnvironments, type Stores } from './stores.ts'
