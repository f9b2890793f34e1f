import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { writeWhole } from '@sluice/embedded'
import { credentialSettings, errorCode, UserError } from '@sluice/shared/runtime'

/**
 * The secrets that the first start generates and keeps in `.sluice/secrets`, besides the credentials of each source.
 * The settings of a start may override them.
 */
const SECRETS = {
  CONSOLE_CREDENTIALS: () => `operator:operator:${secret()}`,
  SLUICE_POSTGRES_PASSWORD: secret,
  SLUICE_REDIS_PASSWORD: secret,
}

export type Secrets = Record<keyof typeof SECRETS, string> & Record<string, string>

type File = 'env' | 'secrets'

/**
 * Reads `.sluice/env`, which has the values of the last start, or `.sluice/secrets`. Without the file there are no
 * values. `node --env-file` and `sh` can read both files too.
 */
export async function readEnv(stateDir: string, name: File = 'env'): Promise<Record<string, string>> {
  const file = join(stateDir, name)
  try {
    return parseEnv(await readFile(file, 'utf8')) as Record<string, string>
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return {}
    throw new UserError(`Cannot read ${file} (${errorCode(error)}). Run Sluice as the user that owns it.`)
  }
}

/** Replaces the whole file, so that a crash leaves either the old one or the new one. Its mode is 0600. */
export async function writeEnv(
  stateDir: string,
  values: Record<string, string>,
  name: File = 'env',
): Promise<void> {
  const lines = Object.entries(values).map(([key, value]) => {
    // Shells and dotenv agree only on single quotes, which have no escapes.
    if (/['\n\r]/.test(value)) throw new Error(`The value of ${key} cannot be quoted in an env file`)
    return `${key}='${value}'\n`
  })
  await writeWhole(join(stateDir, name), lines.join(''))
}

/**
 * Reads the secrets of this clone, and generates those that are missing.
 *
 * @param sources their names
 */
export async function ensureSecrets(stateDir: string, sources: readonly string[]): Promise<Secrets> {
  const known = await readEnv(stateDir, 'secrets')
  const wanted = { ...credentialSettings(sources, () => `bearer:${secret()}`), ...SECRETS }
  const missing = Object.entries(wanted).filter(([name]) => !known[name])
  const all = { ...known, ...Object.fromEntries(missing.map(([name, make]) => [name, make()])) }
  if (missing.length > 0) await writeEnv(stateDir, all, 'secrets')
  return all as Secrets
}

function secret(): string {
  return randomBytes(32).toString('base64url')
}
