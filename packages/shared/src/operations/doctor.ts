import { checkPostgres, checkProcesses, checkRetention } from '../db/index.ts'
import { createRedisCheck } from '../queue/index.ts'
import { type Check, type Env, fail, ok, settingsProblems, UserError } from '../runtime/index.ts'
import { checkErasures } from './erasure/index.ts'
import { checkSources } from './sources.ts'
import type { Stores } from './stores.ts'

/**
 * Checks the settings, the stores, and whether the running processes fit together.
 *
 * @param readers read the settings of each app, and throw a `SettingsError` if they are wrong
 * @param withStores opens the stores of `env` for the given work
 */
export async function examine(
  env: Env,
  readers: Parameters<typeof settingsProblems>[1],
  withStores: (work: (stores: Stores) => Promise<Check[]>) => Promise<Check[]>,
): Promise<Check[]> {
  const problems = settingsProblems(env, readers)
  try {
    return [...checkSettings(problems), ...(await withStores(checkStores))]
  } catch (error) {
    // With such settings the stores cannot be opened.
    if (error instanceof UserError && problems.length > 0) return checkSettings(problems)
    throw error
  }
}

function checkSettings(problems: readonly string[]): Check[] {
  if (problems.length === 0) return [ok('Settings', 'complete')]
  return problems.map((problem) => fail('Settings', problem, 'docs/operations.md describes each setting.'))
}

async function checkStores(stores: Stores): Promise<Check[]> {
  const { db, location, copies } = stores
  return [
    ...(await checkPostgres(db)),
    ...(location
      ? await createRedisCheck(location)()
      : [ok('Redis', 'not configured: events go through the inbox in Postgres')]),
    ...(await checkProcesses(db)),
    ...(await checkSources(stores)),
    ...(await checkRetention(db)),
    ...(await checkErasures(db, copies?.receipts)),
  ]
}
