import { readConsoleConfig } from '@sluice/console'
import { readIngestConfig } from '@sluice/ingest'
import { databaseUrl, type Period, retentionPartition } from '@sluice/shared/db'
import {
  credentialSettings,
  type Env,
  namesOf,
  queueSettings,
  readableSources,
  readSettings,
  SettingsError,
  settingsProblems,
} from '@sluice/shared/runtime'
import { readWorkerConfig } from '@sluice/worker'
import * as z from 'zod'
import { hasDatabase } from '../stores.ts'
import type { QueueName } from './leftovers.ts'

const STORES = z.object({
  ...queueSettings,
  DATABASE_URL: databaseUrl.optional(),
  RETENTION_PARTITION: retentionPartition,
})

/**
 * Reads every setting before anything is started.
 *
 * @throws SettingsError that lists every problem
 */
export function readStores(env: Env): {
  databaseUrl: string | undefined
  redisUrl: string | undefined
  queue: QueueName
  period: Period
} {
  const readers = [
    (given: Env) => readSettings(given, STORES),
    readIngestConfig,
    readWorkerConfig,
    readConsoleConfig,
  ]
  const embedded = { DATABASE_URL: 'postgres://127.0.0.1/embedded' }
  const problems = settingsProblems(hasDatabase(env) ? env : { ...env, ...embedded }, readers)
  if (problems.length > 0) throw new SettingsError(problems)
  const { DATABASE_URL, REDIS_URL, QUEUE_PREFIX, QUEUE_SHARDS, RETENTION_PARTITION } = readSettings(
    env,
    STORES,
  )
  return {
    databaseUrl: DATABASE_URL,
    redisUrl: REDIS_URL,
    queue: { prefix: QUEUE_PREFIX, shards: QUEUE_SHARDS },
    period: RETENTION_PARTITION,
  }
}

/**
 * The credentials in force, as quoted lines of `.sluice/env` can hold them: separated by single blanks, and with each
 * quote percent-encoded.
 */
export function credentialsForEnvFile(env: Env): Record<string, string> {
  const text = z.string().meta({ fromFile: true })
  const shape = z.object(credentialSettings(namesOf(readableSources(env)), text))
  return Object.fromEntries(
    Object.entries(readSettings(env, shape)).map(([name, given]) => [
      name,
      given.replace(/\s+/g, ' ').replaceAll("'", '%27'),
    ]),
  )
}
