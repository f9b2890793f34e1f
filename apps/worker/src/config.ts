import { databaseUrl } from '@sluice/shared/db'
import {
  type AlertSettings,
  alertSettings,
  alertsOf,
  checkTerms,
  type RetentionPolicy,
  retentionPolicy,
  retentionSettings,
} from '@sluice/shared/operations'
import type { QueueLocation } from '@sluice/shared/queue'
import {
  durabilitySettings,
  type Env,
  port,
  processSettings,
  queueLocation,
  queueSettings,
  readSettings,
  type Source,
  sourceSettings,
  type TraceSettings,
  traceSettings,
  tracesOf,
  wholeNumber,
} from '@sluice/shared/runtime'
import * as z from 'zod'

export type WorkerConfig = Readonly<{
  probesHost: string
  port: number
  metricsPort: number
  /** Whether stores are refused that may lose acknowledged events. */
  strict: boolean
  databaseUrl: string
  queue: (QueueLocation & { consume?: readonly number[] }) | undefined
  /** The most jobs of one shard under way at once. */
  concurrency: number
  /** Whether this process does the scheduler's duties as well. */
  scheduler: boolean
  retention: RetentionPolicy
  alerts?: AlertSettings
  traces?: TraceSettings | undefined
  sources: readonly Source[]
}>

/** @throws UserError that lists all wrong settings */
export function readWorkerConfig(env: Env): WorkerConfig {
  const settings = readSettings(env, workerSettings)
  const queue = queueLocation(settings)
  const consume = settings.WORKER_SHARDS
  return {
    probesHost: settings.PROBES_HOST,
    port: settings.WORKER_PORT,
    metricsPort: settings.METRICS_PORT,
    strict: settings.SLUICE_DURABILITY === 'strict',
    databaseUrl: settings.DATABASE_URL,
    queue: queue && { ...queue, ...(consume && { consume }) },
    concurrency: settings.WORKER_CONCURRENCY,
    scheduler: settings.SCHEDULER === 'on',
    retention: retentionPolicy(settings),
    alerts: alertsOf(settings),
    traces: tracesOf(settings),
    sources: settings.IDWISE_SOURCES,
  }
}

export const workerSettings = checkTerms(
  z.object({
    ...processSettings,
    ...durabilitySettings,
    ...queueSettings,
    ...traceSettings,
    ...sourceSettings,
    ...retentionSettings,
    ...alertSettings,
    WORKER_PORT: port(3002),
    DATABASE_URL: databaseUrl,
    WORKER_CONCURRENCY: wholeNumber(1_600, 1, 2_000),
    SCHEDULER: z.enum(['on', 'off'], 'is neither on nor off').default('on'),
    WORKER_SHARDS: z
      .string()
      .regex(/^\d+(\s*,\s*\d+)*$/, 'is not a list of shard numbers such as 0,1')
      .transform((text) => text.split(',').map(Number))
      .optional(),
  }),
).refine(({ WORKER_SHARDS, QUEUE_SHARDS }) => !WORKER_SHARDS?.some((shard) => shard >= QUEUE_SHARDS), {
  path: ['WORKER_SHARDS'],
  message: 'names a shard that QUEUE_SHARDS does not have',
  // Reported together with the other wrong settings.
  when: ({ value }) => {
    const { WORKER_SHARDS, QUEUE_SHARDS } = value as Record<string, unknown>
    return Array.isArray(WORKER_SHARDS) && typeof QUEUE_SHARDS === 'number'
  },
})
