import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { writeWhole } from '@sluice/embedded'
import { ENVIRONMENTS } from '@sluice/shared/envelope'
import { credentialSettings, errorCode, UserError } from '@sluice/shared/runtime'

/** What the first start makes up, kept for every later one in `.sluice/secrets`; a start may be given others. */
const SECRETS = {
  ...credentialSettings(ENVIRONMENTS, () => `bearer:${secret()}`),
  SLUICE_POSTGRES_PASSWORD: secret,
  SLUICE_REDIS_PASSWORD: secret,
}

export type Secrets = Record<keyof typeof SECRETS, string>

type File = 'env' | 'secrets'

/**
 * The values in `.sluice/env`, which are those of the last start, or in `.sluice/secrets`; none when there is no such
 * file. `node --env-file` and `sh` can read them too.
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

/** Replaces the file as a whole, so that a crash leaves the old one or the new one. Mode 0600. */
export async function writeEnv(
  stateDir: string,
  values: Record<string, string>,
  name: File = 'env',
): Promise<void> {
  const lines = Object.entries(values).map(([key, value]) => {
    // The one kind of quoting that shells and dotenv agree on has no escapes.
    if (/['\n\r]/.test(value)) throw new Error(`The value of ${key} cannot be quoted in an env file`)
    return `${key}='${value}'\n`
  })
  await writeWhole(join(stateDir, name), lines.join(''))
}

/** The secrets of this clone: those in `.sluice/secrets`, and new ones for those that are missing there. */
export async function ensureSecrets(stateDir: string): Promise<Secrets> {
  const known = await readEnv(stateDir, 'secrets')
  const missing = Object.entries(SECRETS).filter(([name]) => !known[name])
  const all = { ...known, ...Object.fromEntries(missing.map(([name, make]) => [name, make()])) }
  if (missing.length > 0) await writeEnv(stateDir, all, 'secrets')
  return all as Secrets
}

function secret(): string {
  return randomBytes(32).toString('base64url')
}
