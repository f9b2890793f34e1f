import { execFile } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The password of every Postgres that the tests start. */
export const POSTGRES_PASSWORD = 'for-the-tests-only'

/** Names the kept data to this process and to those that run the test files. */
const VARIABLE = 'SLUICE_TEST_POSTGRES_DATA'
const run = promisify(execFile)

/** Keeps a copy of the data of a Postgres that has stopped. To make new data takes seconds, to copy it does not. */
export async function keepPostgresData(stateDir: string): Promise<void> {
  const kept = join(stateDir, 'kept')
  await run('cp', ['-a', realpathSync(join(stateDir, 'postgres')), kept])
  process.env[VARIABLE] = kept
}

/** Copies the kept data to a state folder. Without any, the next start makes new data. @returns whether it did */
export async function copyPostgresData(stateDir: string): Promise<boolean> {
  const kept = process.env[VARIABLE]
  if (kept === undefined) return false
  // With its owner, which Postgres asks for.
  await run('cp', ['-a', kept, join(stateDir, 'postgres')])
  return true
}
