export { aligned } from './aligned.ts'
export { backoffMs, DeadlineError, withDeadline } from './backoff.ts'
export { type BatcherOptions, createBatcher } from './batch.ts'
export { type Check, type Finding, fail, MAX_SKEW_MS, ok, type StoreName, warn } from './check.ts'
export { type Circuit, type CircuitPolicy, createCircuit } from './circuit.ts'
export { addressIn, addressMatcher, networks, sourceOf } from './client-address.ts'
export {
  allowedIpsSetting,
  type Credential,
  credentialSettings,
  credentials,
  credentialsSetting,
  parseCredentials,
} from './credentials.ts'
export { describeError, errorCode, UserError } from './errors.ts'
export { every, pause } from './every.ts'
export { armFailpoint, type Failpoint, failpoint } from './failpoint.ts'
export { type Health, listenError, probes, serveMetrics, serveProbes } from './http.ts'
export { runUntilSignal } from './lifecycle.ts'
export { createLog, type Log } from './log.ts'
export { createMetrics, type Metrics, totalsOf } from './metrics.ts'
export { allocateYoung, lowerPriority } from './process.ts'
export { parseRedisUrl, redisAddress, showRedis } from './redis-url.ts'
export { newestMigration, release } from './release.ts'
export {
  days,
  durabilitySettings,
  type Env,
  folder,
  isFromFile,
  port,
  processSettings,
  queueLocation,
  queueSettings,
  readSettings,
  SettingsError,
  settingsProblems,
  wholeNumber,
} from './settings.ts'
export {
  DEFAULT_SOURCES,
  ENVIRONMENT_NAME,
  kindOf,
  namesOf,
  readableSources,
  type Source,
  type SourceKind,
  sourceSettings,
} from './sources.ts'
export { startStoreChecks } from './store-checks.ts'
export { type TraceSettings, traceSettings, tracesOf } from './trace-settings.ts'
export { isTraceparent, traceField } from './traceparent.ts'
export { type BatchTrace, startTraces, type Traces } from './traces.ts'
export { watchSettings } from './watch-settings.ts'
