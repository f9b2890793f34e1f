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
  getDeadLetter,
  type JourneyName,
  keepsFirst,
  type LetterCount,
  type LetterFailure,
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
export { type FoundEvents, lookUpEvent } from './events.ts'
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
export type { EventsPage } from './find/events-answer.ts'
export { countNewer, listEvents, NEWER_COUNTED } from './find/events-list.ts'
export {
  EVENT_VIEWS,
  type EventsQuery,
  type EventView,
  eventsQuery,
  LANDED_FILTERS,
  takesLandedFilters,
  writeEventsQuery,
} from './find/events-query.ts'
export { type Place, placeOf, type SearchHit, type SearchStatus } from './find/hits.ts'
export { markJourney, readJourneyMark } from './find/journey-news.ts'
export {
  type JourneyAsked,
  type JourneyPage,
  type JourneyPageRead,
  readJourneyPage,
} from './find/journey-page.ts'
export { curlOfLetter, type ReceivedEvent, receivedInLetter } from './find/received.ts'
export { type FoundName, type SearchAnswer, search } from './find/search.ts'
export { type Followed, followEvents } from './find/tail.ts'
export { hasFailed } from './find/unlanded.ts'
export { type FoundJourney, type JourneysFound, lookUpJourneys } from './journeys.ts'
export {
  type DeadLetterGroup,
  type DeadLetterGroups,
  describeFilter,
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
  readHours,
  readState,
  type State,
  type StoreGauges,
  span,
} from './state/index.ts'
export { knownEnvironments, type Stores } from './stores.ts'
