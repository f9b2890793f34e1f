export { createQueueAdmin, type QueueAdmin } from './admin.ts'
export type { HandleResult, QueueJob } from './bullmq/batch.ts'

export type { FailedJob } from './bullmq/failed-jobs.ts'
export { FIELD, queueKeys, shardPrefix } from './bullmq/keys.ts'
export { openQueue, unfinishedOf } from './bullmq/queue.ts'
export type { QueuedJob } from './bullmq/some-jobs.ts'

export { createRedisCheck } from './check.ts'
export { lastErrorOf } from './connection.ts'
export { createQueueConsumer, type QueueConsumer } from './consumer.ts'
export { pingRedis } from './ping.ts'
export { createQueueProducer, type NewJob, type QueueLocation, type QueueProducer } from './producer.ts'
export { rewriteFiles } from './rewrite.ts'
