import { databaseUrl } from '@sluice/shared/db'
import { ENVIRONMENTS, type Environment, perEnvironment } from '@sluice/shared/envelope'
import { type AlertSettings, alertSettings } from '@sluice/shared/operations'
import type { QueueLocation } from '@sluice/shared/queue'
import {
  type Credential,
  credentialSettings,
  credentials,
  credentialsSetting,
  durabilitySettings,
  type Env,
  networks,
  port,
  processSettings,
  queueLocation,
  queueSettings,
  readSettings,
  type TraceSettings,
  traceSettings,
  tracesOf,
  wholeNumber,
} from '@sluice/shared/runtime'
import * as z from 'zod'

export type IngestConfig = Readonly<{
  host: string
  port: number
  /** The address of the metrics and of everything that is known of the stores. */
  probesHost: string
  metricsPort: number
  /** Refuse stores with settings that let acknowledged events be lost. */
  strict: boolean
  databaseUrl: string
  queue: QueueLocation | undefined
  credentials: Readonly<Record<Environment, readonly Credential[]>>
  /** Addresses whose X-Forwarded-For is believed. */
  trustedProxies: readonly string[]
  /** Empty: any address may post. */
  allowedIps: readonly string[]
  /** How long a closing ingest goes on serving, so that a load balancer notices. */
  shutdownDelayMs: number
  /** Whom to tell of trouble. An ingest has no heartbeat. */
  alerts: AlertSettings
  traces?: TraceSettings | undefined
}>

/** @throws SettingsError that lists all wrong settings */
export function readIngestConfig(env: Env): IngestConfig {
  const settings = readSettings(env, ingestSettings)
  return {
    host: settings.LISTEN_HOST,
    port: settings.INGEST_PORT,
    probesHost: settings.PROBES_HOST,
    metricsPort: settings.METRICS_PORT,
    strict: settings.SLUICE_DURABILITY === 'strict',
    databaseUrl: settings.DATABASE_URL,
    queue: queueLocation(settings),
    credentials: credentialsFrom(settings),
    trustedProxies: settings.TRUSTED_PROXIES,
    allowedIps: settings.IDWISE_ALLOWED_IPS,
    shutdownDelayMs: settings.SHUTDOWN_DELAY_SECONDS * 1000,
    alerts: { channels: settings.ALERTS ?? [], heartbeat: undefined },
    traces: tracesOf(settings),
  }
}

/** What may change while an ingest runs. */
export const ingestCredentials = z.object(credentialSettings(ENVIRONMENTS, credentials))

export const credentialsFrom = (settings: z.output<typeof ingestCredentials>): IngestConfig['credentials'] =>
  perEnvironment((environment) => settings[credentialsSetting(environment)])

export const ingestSettings = z.object({
  ...processSettings,
  ...durabilitySettings,
  ...queueSettings,
  ...traceSettings,
  ...ingestCredentials.shape,
  ALERTS: alertSettings.ALERTS,
  LISTEN_HOST: z.string().default('127.0.0.1'),
  INGEST_PORT: port(3000),
  DATABASE_URL: databaseUrl,
  TRUSTED_PROXIES: networks,
  IDWISE_ALLOWED_IPS: networks,
  SHUTDOWN_DELAY_SECONDS: wholeNumber(5, 0, 120),
})
