export { decodeBody, MAX_BODY_BYTES, textOf } from './decode.ts'
export { DRIFT_KINDS, type Drift, type DriftKind, findDrift } from './drift.ts'
export {
  EVENT_KINDS,
  type EventKind,
  MAX_TEXT,
  parseEvent,
  parseNames,
  storedId,
} from './event.ts'
export { type ExactJson, parseExact, writeExact } from './exact-json.ts'
export { eventKey, identify, sha256 } from './identity.ts'
export { type JsonChange, jsonChanges } from './json-changes.ts'
export { type NamedInText, namesIn } from './names.ts'
export { nextTries, REDELIVERY_SPAN_MS, SURE_SPAN_MS, sureUntil } from './schedule.ts'
