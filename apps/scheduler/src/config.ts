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
  type Env,
  port,
  processSettings,
  queueLocation,
  queueSettings,
  readSettings,
  type Source,
  sourceSettings,
} from '@sluice/shared/runtime'
import * as z from 'zod'

export type SchedulerConfig = Readonly<{
  probesHost: string
  port: number
  metricsPort: number
  databaseUrl: string
  queue: QueueLocation | undefined
  retention: RetentionPolicy
  alerts?: AlertSettings
  sources: readonly Source[]
}>

/** @throws UserError that lists all wrong settings */
export function readSchedulerConfig(env: Env): SchedulerConfig {
  const settings = readSettings(env, schedulerSettings)
  return {
    probesHost: settings.PROBES_HOST,
    port: settings.SCHEDULER_PORT,
    metricsPort: settings.METRICS_PORT,
    databaseUrl: settings.DATABASE_URL,
    queue: queueLocation(settings),
    retention: retentionPolicy(settings),
    alerts: alertsOf(settings),
    sources: settings.IDWISE_SOURCES,
  }
}

export const schedulerSettings = checkTerms(
  z.object({
    ...processSettings,
    ...queueSettings,
    ...sourceSettings,
    ...retentionSettings,
    ...alertSettings,
    SCHEDULER_PORT: port(3003),
    DATABASE_URL: databaseUrl,
  }),
)
