import { databaseUrl } from '@sluice/shared/db'
import type { Environment } from '@sluice/shared/envelope'
import { type Credential, parseCredentials } from '@sluice/shared/idwise'
import type { QueueLocation } from '@sluice/shared/queue'
import {
  type Env,
  networks,
  port,
  processSettings,
  queueSettings,
  readSettings,
  wholeNumber,
} from '@sluice/shared/runtime'
import * as z from 'zod'

export type IngestConfig = Readonly<{
  host: string
  port: number
  /** Where the metrics and what is known of the stores can be asked for. */
  probesHost: string
  metricsPort: number
  logLevel: string
  /** Refuse stores whose settings let acknowledged events be lost. */
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
}>

/** @throws UserError that lists every wrong setting. */
export function readIngestConfig(env: Env): IngestConfig {
  const settings = readSettings(env, SETTINGS, [
    'DATABASE_URL',
    'REDIS_URL',
    'IDWISE_LIVE_CREDENTIALS',
    'IDWISE_SANDBOX_CREDENTIALS',
  ])
  return {
    host: settings.LISTEN_HOST,
    port: settings.INGEST_PORT,
    probesHost: settings.PROBES_HOST,
    metricsPort: settings.METRICS_PORT,
    logLevel: settings.LOG_LEVEL,
    strict: settings.SLUICE_DURABILITY === 'strict',
    databaseUrl: settings.DATABASE_URL,
    queue: settings.REDIS_URL
      ? {
          url: settings.REDIS_URL,
          prefix: settings.QUEUE_PREFIX,
          shards: settings.QUEUE_SHARDS,
          acks: settings.REDIS_ACKS,
        }
      : undefined,
    credentials: { live: settings.IDWISE_LIVE_CREDENTIALS, sandbox: settings.IDWISE_SANDBOX_CREDENTIALS },
    trustedProxies: settings.TRUSTED_PROXIES,
    allowedIps: settings.IDWISE_ALLOWED_IPS,
    shutdownDelayMs: settings.SHUTDOWN_DELAY_SECONDS * 1000,
  }
}

const credentials = z.string().transform((text, context) => {
  const { credentials, problems } = parseCredentials(text)
  for (const message of problems) context.issues.push({ code: 'custom', message, input: undefined })
  return problems.length > 0 ? z.NEVER : credentials
})

const SETTINGS = z.object({
  ...processSettings,
  ...queueSettings,
  LISTEN_HOST: z.string().default('127.0.0.1'),
  INGEST_PORT: port(3000),
  DATABASE_URL: databaseUrl,
  IDWISE_LIVE_CREDENTIALS: credentials,
  IDWISE_SANDBOX_CREDENTIALS: credentials,
  TRUSTED_PROXIES: networks,
  IDWISE_ALLOWED_IPS: networks,
  SHUTDOWN_DELAY_SECONDS: wholeNumber(5, 0, 120),
})
