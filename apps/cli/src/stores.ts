import { fileURLToPath } from 'node:url'
import { createDb, type Db, databaseUrl, placeOf } from '@sluice/shared/db'
import { ENVIRONMENTS } from '@sluice/shared/envelope'
import { createQueueAdmin, type QueueAdmin, type QueueLocation } from '@sluice/shared/queue'
import {
  createLog,
  credentialsSetting,
  describeError,
  type Env,
  errorCode,
  queueLocation,
  queueSettings,
  readSettings,
  UserError,
} from '@sluice/shared/runtime'
import * as z from 'zod'
import { readEnv } from './start/env-file.ts'

/** The clone. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** What a command works on. */
export type Stores = { db: Db; queue: QueueAdmin | undefined; location: QueueLocation | undefined }

const SETTINGS = z.object({ ...queueSettings, DATABASE_URL: databaseUrl })
const log = createLog('sluice', 'fatal')

/**
 * The settings of the environment; where they name no database, those of the start of this clone, so that commands
 * work at once beside `npm start`.
 */
export async function settingsOfStart(env: Env = process.env): Promise<Env> {
  if (hasDatabase(env)) return env
  return { ...withoutGiven(await readEnv(`${ROOT}/.sluice`), env), ...withoutEmpty(env) }
}

const SENDING: readonly string[] = [...ENVIRONMENTS.map(credentialsSetting), 'INGEST_PORT']

/** What it takes to send to the ingest of this clone, whatever database the environment names. */
export async function settingsForSending(env: Env = process.env, root = ROOT): Promise<Env> {
  const ofClone = Object.entries(await readEnv(`${root}/.sluice`)).filter(([name]) => SENDING.includes(name))
  return { ...withoutGiven(Object.fromEntries(ofClone), env), ...withoutEmpty(env) }
}

export const NO_DATABASE = 'No database is known here. Run `npm start` once, or set DATABASE_URL.'

export function hasDatabase(env: Env): boolean {
  return Boolean(env.DATABASE_URL || env.DATABASE_URL_FILE)
}

/** The settings that the environment does not have, neither itself nor as the name of a file. */
export function withoutGiven(settings: Record<string, string>, env: Env): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !env[name] && !env[`${name}_FILE`]))
}

export function withoutEmpty(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value))
}

/** Opens the stores for one command and closes them after it. */
export async function withStores<T>(work: (stores: Stores) => Promise<T>): Promise<T> {
  const env = await settingsOfStart()
  if (!hasDatabase(env)) throw new UserError(NO_DATABASE)
  const settings = readSettings(env, SETTINGS)
  await using stack = new AsyncDisposableStack()
  const db = stack.use(createDb(settings.DATABASE_URL, { max: 3, statementMs: 60_000, log, name: 'cli' }))
  const location = queueLocation(settings)
  const queue = location && stack.use(createQueueAdmin(location, log))
  try {
    return await work({ db, queue, location })
  } catch (error) {
    throw inWords(error, settings.DATABASE_URL)
  }
}

function inWords(error: unknown, url: string): unknown {
  const code = errorCode(error)
  if (code === '42P01') return new UserError('The database is not migrated. Run `sluice migrate`.')
  if (error instanceof UserError || !/^(E[A-Z]+|28...|3D000|57P0.|08...)$/.test(code ?? '')) return error
  const { message } = describeError(error)
  return new UserError(
    `Postgres at ${placeOf(url)} cannot be used (${message}). Is it running (\`npm start\` runs the embedded one)? Else correct DATABASE_URL.`,
  )
}
