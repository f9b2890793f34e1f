import { databaseUrl } from '@sluice/shared/db'
import { type AlertSettings, alertSettings } from '@sluice/shared/operations'
import type { QueueLocation } from '@sluice/shared/queue'
import {
  type Credential,
  DEFAULT_SOURCES,
  durabilitySettings,
  type Env,
  networks,
  port,
  processSettings,
  queueLocation,
  queueSettings,
  readableSources,
  readSettings,
  SettingsError,
  type Source,
  settingsProblems,
  sourceSettings,
  type TraceSettings,
  traceSettings,
  tracesOf,
  wholeNumber,
} from '@sluice/shared/runtime'
import * as z from 'zod'
import {
  allowedIpsFrom,
  allowedIpsShape,
  credentialsFrom,
  credentialsShape,
  type OfSource,
  strayCredentials,
} from './source-settings.ts'

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
  sources: readonly Source[]
  credentials: OfSource<readonly Credential[]>
  /** Addresses whose X-Forwarded-For is believed. */
  trustedProxies: readonly string[]
  /** Empty: any address may post. */
  allowedIps: OfSource<readonly string[]>
  /** The names of settings with credentials of no source. */
  strayCredentials: readonly string[]
  /** How long a closing ingest goes on serving, so that a load balancer notices. */
  shutdownDelayMs: number
  /** Whom to tell of trouble. An ingest has no heartbeat. */
  alerts: AlertSettings
  traces?: TraceSettings | undefined
}>

/** @throws SettingsError that lists all wrong settings */
export function readIngestConfig(env: Env): IngestConfig {
  const readable = readableSources(env)
  const problems = settingsProblems(env, [
    (given) => readSettings(given, ownSettings),
    (given) => readSettings(given, credentialsShape(readable)),
    (given) => readSettings(given, allowedIpsShape(readable)),
  ])
  if (problems.length > 0) throw new SettingsError(problems)
  const settings = readSettings(env, ownSettings)
  const sources = settings.IDWISE_SOURCES
  const own = readSettings(env, allowedIpsShape(sources))
  return {
    host: settings.LISTEN_HOST,
    port: settings.INGEST_PORT,
    probesHost: settings.PROBES_HOST,
    metricsPort: settings.METRICS_PORT,
    strict: settings.SLUICE_DURABILITY === 'strict',
    databaseUrl: settings.DATABASE_URL,
    queue: queueLocation(settings),
    sources,
    credentials: credentialsFrom(sources, readSettings(env, credentialsShape(sources))),
    trustedProxies: settings.TRUSTED_PROXIES,
    allowedIps: allowedIpsFrom(sources, own, settings.IDWISE_ALLOWED_IPS),
    strayCredentials: strayCredentials(env, sources),
    shutdownDelayMs: settings.SHUTDOWN_DELAY_SECONDS * 1000,
    alerts: { channels: settings.ALERTS ?? [], heartbeat: undefined },
    traces: tracesOf(settings),
  }
}

const ownSettings = z.object({
  ...processSettings,
  ...durabilitySettings,
  ...queueSettings,
  ...traceSettings,
  ...sourceSettings,
  ALERTS: alertSettings.ALERTS,
  LISTEN_HOST: z.string().default('127.0.0.1'),
  INGEST_PORT: port(3000),
  DATABASE_URL: databaseUrl,
  TRUSTED_PROXIES: networks,
  IDWISE_ALLOWED_IPS: networks,
  SHUTDOWN_DELAY_SECONDS: wholeNumber(5, 0, 120),
})

/** The settings of an ingest with the usual sources. Each further source has settings of the same form. */
export const ingestSettings = z.object({
  ...ownSettings.shape,
  ...credentialsShape(DEFAULT_SOURCES).shape,
  ...allowedIpsShape(DEFAULT_SOURCES).shape,
})
