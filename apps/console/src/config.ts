import { databaseUrl } from '@sluice/shared/db'
import type { QueueLocation } from '@sluice/shared/queue'
import {
  type Env,
  networks,
  port,
  processSettings,
  queueLocation,
  queueSettings,
  readSettings,
  type Source,
  sourceSettings,
} from '@sluice/shared/runtime'
import * as z from 'zod'
import { type Credential, consoleCredentials } from './sign-in/credentials.ts'

export type ConsoleConfig = Readonly<{
  host: string
  port: number
  probesHost: string
  metricsPort: number
  databaseUrl: string
  /** Where pages read: a standby, or the database itself. */
  readUrl: string
  queue: QueueLocation | undefined
  sources: readonly Source[]
  credentials: readonly Credential[]
  /** Proxies whose X-Forwarded-… is believed. */
  trustedProxies: readonly string[]
  /** The header in which a trusted proxy names the person that it has signed in. */
  userHeader: string | undefined
  oidc: OidcConfig | undefined
  /** Who is an operator among those who sign in elsewhere: names, and claims as `claim=value`. */
  operators: readonly string[]
}>

/** Otherwise every page is answered 503. */
export function canSignIn({ credentials, oidc, userHeader }: ConsoleConfig): boolean {
  return credentials.length > 0 || oidc !== undefined || userHeader !== undefined
}

export type OidcConfig = Readonly<{ issuer: string; clientId: string; clientSecret: string }>

/** @throws SettingsError that lists all wrong settings */
export function readConsoleConfig(env: Env): ConsoleConfig {
  const settings = readSettings(env, consoleSettings)
  const { CONSOLE_OIDC_ISSUER: issuer, CONSOLE_OIDC_CLIENT_ID: clientId } = settings
  return {
    host: settings.CONSOLE_HOST,
    port: settings.CONSOLE_PORT,
    probesHost: settings.PROBES_HOST,
    metricsPort: settings.METRICS_PORT,
    databaseUrl: settings.DATABASE_URL,
    readUrl: settings.DATABASE_REPLICA_URL ?? settings.DATABASE_URL,
    queue: queueLocation(settings),
    sources: settings.IDWISE_SOURCES,
    credentials: settings.CONSOLE_CREDENTIALS ?? [],
    trustedProxies: settings.TRUSTED_PROXIES,
    userHeader: settings.CONSOLE_USER_HEADER,
    oidc:
      issuer && clientId
        ? { issuer, clientId, clientSecret: settings.CONSOLE_OIDC_CLIENT_SECRET ?? '' }
        : undefined,
    operators: settings.CONSOLE_OPERATORS,
  }
}

const OIDC = ['CONSOLE_OIDC_ISSUER', 'CONSOLE_OIDC_CLIENT_ID', 'CONSOLE_OIDC_CLIENT_SECRET'] as const

/** What may change while a console runs. */
export const changeableSettings = z.object({ CONSOLE_CREDENTIALS: consoleCredentials.optional() })

export const consoleSettings = z
  .object({
    ...processSettings,
    ...queueSettings,
    ...sourceSettings,
    DATABASE_URL: databaseUrl,
    DATABASE_REPLICA_URL: databaseUrl.optional(),
    CONSOLE_HOST: z.string().default('127.0.0.1'),
    CONSOLE_PORT: port(3001),
    ...changeableSettings.shape,
    CONSOLE_USER_HEADER: z
      .string()
      .regex(/^[A-Za-z0-9-]{1,100}$/, 'is not the name of a header')
      .transform((name) => name.toLowerCase())
      .optional(),
    CONSOLE_OIDC_ISSUER: z.url({ protocol: /^https?$/, error: 'is not a URL' }).optional(),
    CONSOLE_OIDC_CLIENT_ID: z.string().optional(),
    CONSOLE_OIDC_CLIENT_SECRET: z.string().meta({ fromFile: true }).optional(),
    CONSOLE_OPERATORS: z
      .string()
      .transform((text) => text.split(/\s+/).filter((word) => word !== ''))
      .default([]),
    TRUSTED_PROXIES: networks,
  })
  .superRefine((settings, context) => {
    const missing = OIDC.filter((name) => settings[name] === undefined)
    if (missing.length > 0 && missing.length < OIDC.length) {
      for (const name of missing) {
        context.addIssue({
          code: 'custom',
          path: [name],
          message: 'is not set, but other settings of OIDC are',
        })
      }
    }
    if (settings.CONSOLE_USER_HEADER !== undefined && settings.TRUSTED_PROXIES.length === 0) {
      context.addIssue({
        code: 'custom',
        path: ['CONSOLE_USER_HEADER'],
        message: 'needs TRUSTED_PROXIES, or anybody could name themselves',
      })
    }
  })
