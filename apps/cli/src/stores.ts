import { fileURLToPath } from 'node:url'
import { classifyFailure, createDb, databaseUrl, isNotMigrated, placeOf } from '@sluice/shared/db'
import {
  checkTerms,
  erasureSettings,
  type RetentionPolicy,
  retentionPolicy,
  retentionSettings,
  type Stores,
} from '@sluice/shared/operations'
import { createQueueAdmin } from '@sluice/shared/queue'
import {
  createLog,
  describeError,
  type Env,
  queueLocation,
  queueSettings,
  readSettings,
  sourceSettings,
  UserError,
} from '@sluice/shared/runtime'
import * as z from 'zod'
import { readEnv } from './start/env-file.ts'

/** The root of the clone. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

const { ARCHIVE_DIR } = retentionSettings
const SETTINGS = z.object({
  ...queueSettings,
  ...sourceSettings,
  ...erasureSettings,
  ARCHIVE_DIR,
  DATABASE_URL: databaseUrl,
})
const log = createLog('sluice', 'fatal')

/**
 * The settings of the environment. If they name no database, the settings of this clone's last start are used too, so
 * that commands work at once while `npm start` runs.
 */
export async function settingsOfStart(env: Env = process.env): Promise<Env> {
  if (hasDatabase(env)) return env
  return { ...withoutGiven(await readEnv(`${ROOT}/.sluice`), env), ...withoutEmpty(env) }
}

const SENDING = /^(IDWISE_SOURCES|IDWISE_.+_CREDENTIALS|INGEST_PORT)$/

/**
 * The settings for sending to the ingest of this clone. They do not depend on the database that the environment
 * names.
 */
export async function settingsForSending(env: Env = process.env, root = ROOT): Promise<Env> {
  const ofClone = Object.entries(await readEnv(`${root}/.sluice`)).filter(([name]) => SENDING.test(name))
  return { ...withoutGiven(Object.fromEntries(ofClone), env), ...withoutEmpty(env) }
}

export const NO_DATABASE = 'No database is known. Run `npm start` once, or set DATABASE_URL.'

export function hasDatabase(env: Env): boolean {
  return Boolean(env.DATABASE_URL || env.DATABASE_URL_FILE)
}

/** Leaves out the settings that the environment gives, either as a value or as the name of a file. */
export function withoutGiven(settings: Record<string, string>, env: Env): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !env[name] && !env[`${name}_FILE`]))
}

export function withoutEmpty(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value))
}

/** How long partitions are, and for how long everything is kept. */
export async function readRetentionPolicy(): Promise<RetentionPolicy> {
  return retentionPolicy(readSettings(await settingsOfStart(), checkTerms(z.object(retentionSettings))))
}

/** Opens the stores for one command, and closes them afterwards. */
export async function withStores<T>(work: (stores: Stores) => Promise<T>): Promise<T> {
  const env = await settingsOfStart()
  if (!hasDatabase(env)) throw new UserError(NO_DATABASE)
  const settings = readSettings(env, SETTINGS)
  await using stack = new AsyncDisposableStack()
  const db = stack.use(createDb(settings.DATABASE_URL, { max: 3, statementMs: 60_000, log, name: 'cli' }))
  const location = queueLocation(settings)
  const queue = location && stack.use(createQueueAdmin(location, log))
  try {
    const { ARCHIVE_DIR: archives, RECEIPTS_DIR: receipts, BACKUP_RETENTION: backupDays } = settings
    const copies = { archives, receipts, backupDays }
    return await work({ db, queue, location, copies, sources: settings.IDWISE_SOURCES })
  } catch (error) {
    throw withAdvice(error, settings.DATABASE_URL)
  }
}

/** Explains the errors that a person can fix. Others are returned as they are. */
function withAdvice(error: unknown, url: string): unknown {
  if (isNotMigrated(error)) return new UserError('The database is not migrated. Run `npx sluice migrate`.')
  if (error instanceof UserError || classifyFailure(error) !== 'infrastructure') return error
  const { message } = describeError(error)
  return new UserError(
    `Postgres at ${placeOf(url)} cannot be used (${message}). ` +
      'Is it running? `npm start` runs the embedded one. Otherwise correct DATABASE_URL.',
  )
}
