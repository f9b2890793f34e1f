import { randomBytes } from 'node:crypto'
import { hashAsync } from './credentials.ts'

const COST = { N: 32_768, r: 8, p: 1, maxmem: 128 * 1024 * 1024 }

/** The form in which CONSOLE_CREDENTIALS takes a secret without showing it: `scrypt:N:R:P:SALT:HASH`. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await hashAsync(secret, salt, 32, COST)
  const { N, r, p } = COST
  return ['scrypt', N, r, p, salt.toString('base64url'), hash.toString('base64url')].join(':')
}
