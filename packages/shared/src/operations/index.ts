export {
  acceptTerms,
  DEAD_LETTER_STATES,
  type DeadLetter,
  type DeadLetterState,
  describeTerms,
  ensurePartitions,
  type GoneEvent,
  getDeadLetter,
  listDeadLetters,
  migrateSchema,
  rebuildJourneys,
  type StoredEvent,
} from '../db/index.ts'
export { listArchives, readArchive, removeUnfinished, rewriteArchive } from './archive-files.ts'
export { auditOnceLanded } from './audit.ts'
export { type Backlog, countBacklog } from './backlog.ts'
export { type ActResult, actOnDeadLetters, type DeadLetterActName } from './dead-letters.ts'
export { examine } from './doctor.ts'
export {
  type ErasurePlan,
  erase,
  erasureSettings,
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
export { type JourneyWithTimeline, lookUpJourneys } from './journeys.ts'
export { relandCompleted } from './reland.ts'
export { type RetentionSurvey, surveyRetention } from './retention.ts'
export { retainOnce } from './retention-round.ts'
export { checkTerms, type RetentionPolicy, retentionPolicy, retentionSettings } from './retention-settings.ts'
export {
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
  readState,
  type State,
} from './state/index.ts'
export type { Stores } from './stores.ts'
