export { aligned } from './aligned.ts'
export { backoffMs, DeadlineError, pause, withDeadline } from './backoff.ts'
export { type Batcher, type BatcherOptions, createBatcher } from './batch.ts'
export { type Check, fail, ok, type StoreName, warn } from './check.ts'
export { describeError, errorCode, UserError } from './errors.ts'
export { armFailpoint, FAILPOINTS, type Failpoint, failpoint } from './failpoint.ts'
export { runUntilSignal } from './lifecycle.ts'
export { createLog, type Log } from './log.ts'
export { createMetrics, type Metrics } from './metrics.ts'
export { allocateYoung, lowerPriority } from './process.ts'
export { parseRedisUrl, type RedisAddress } from './redis-url.ts'
export { brief, type Health, listenError, serveMetrics, serveProbes } from './serve.ts'
export {
  blockList,
  type Env,
  networks,
  port,
  processSettings,
  queueSettings,
  readSettings,
  SettingsError,
  settingsProblems,
  wholeNumber,
} from './settings.ts'
export { type Looks, type StoreChecks, startStoreChecks } from './store-checks.ts'
