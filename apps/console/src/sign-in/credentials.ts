import { type ScryptOptions, scrypt, scryptSync, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { sha256 } from '@sluice/shared/idwise'
import * as z from 'zod'

/** What a person may do: a viewer looks, an operator also acts. */
export type Role = 'viewer' | 'operator'

/** One entry of CONSOLE_CREDENTIALS. */
export type Credential = {
  readonly role: Role
  readonly user: string
  /** As it is given: the secret itself, or `scrypt:N:R:P:SALT:HASH` with salt and hash in base64url. */
  readonly secret: string
}

const MIN_SECRET = 12
const FORMS = 'operator:USER:SECRET or viewer:USER:SECRET'
const HASH = /^scrypt:(\d+):(\d+):(\d+):([\w-]{16,}):([\w-]{32,})$/
const USER = /^[\w.@+-]{1,100}$/

/** The setting CONSOLE_CREDENTIALS: entries separated by white space. A problem names no secret. */
export const consoleCredentials = z
  .string()
  .transform((text, context) => {
    const parsed = text
      .split(/\s+/)
      .filter((word) => word !== '')
      .map(parse)
    const problems = parsed.flatMap((entry, index) =>
      typeof entry === 'string' ? [`entry ${index + 1} ${entry}`] : [],
    )
    for (const message of problems) context.issues.push({ code: 'custom', message, input: undefined })
    return problems.length > 0
      ? z.NEVER
      : parsed.filter((entry): entry is Credential => typeof entry !== 'string')
  })
  .meta({ fromFile: true })

function parse(word: string): Credential | string {
  const [role, user, ...rest] = word.split(':')
  if ((role !== 'viewer' && role !== 'operator') || user === undefined || rest.length === 0) {
    return `is not ${FORMS}`
  }
  const name = decode(user)
  if (name === undefined || !USER.test(name))
    return 'has a user name with other characters than letters, digits and _.@+-'
  const secret = rest[0] === 'scrypt' ? rest.join(':') : decode(rest.join(':'))
  if (secret === undefined) return 'has a % that is not a percent-encoded character; write %25'
  if (secret.startsWith('scrypt:')) {
    const cost = costOf(secret)
    if (!cost || !isAffordable(cost))
      return 'has a hash that is not scrypt:N:R:P:SALT:HASH; `npx sluice hash` makes one'
  } else if (secret.length < MIN_SECRET) return `has a secret shorter than ${MIN_SECRET} characters`
  return { role, user: name, secret }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

type Cost = { N: number; r: number; p: number; maxmem: number; salt: Buffer; hash: Buffer }

function costOf(secret: string): Cost | undefined {
  const [, N, r, p, salt = '', hash = ''] = HASH.exec(secret) ?? []
  if (N === undefined) return undefined
  const [n, blocks, parallel] = [Number(N), Number(r), Number(p)]
  return {
    N: n,
    r: blocks,
    p: parallel,
    maxmem: 256 * n * blocks + 1_000_000,
    salt: Buffer.from(salt, 'base64url'),
    hash: Buffer.from(hash, 'base64url'),
  }
}

/** A power of two, and neither so cheap that it protects nothing nor so expensive that a sign-in takes seconds. */
function isAffordable({ N, r, p }: Cost): boolean {
  return (
    Number.isInteger(Math.log2(N)) && N >= 16_384 && N <= 262_144 && r >= 8 && r <= 16 && p >= 1 && p <= 4
  )
}

/** Hashes beside other work. */
export const hashAsync = promisify<string | Buffer, Buffer, number, ScryptOptions, Buffer>(scrypt)

/** Compares in a time that does not depend on where the two differ. */
async function isSecret({ secret }: Credential, given: string): Promise<boolean> {
  const cost = costOf(secret)
  if (!cost) return timingSafeEqual(sha256(given), sha256(secret))
  const { salt, hash, ...options } = cost
  return timingSafeEqual(await hashAsync(given, salt, hash.length, options), hash)
}

/** A person who may use the console. */
export type Person = {
  readonly name: string
  readonly role: Role
  /** Signs the sessions of this entry: if the entry changes, they end. */
  readonly key: string
}

export type People = {
  /** @returns the person if user and secret fit an entry; it takes as long for a user that does not exist */
  verify(user: string, secret: string): Promise<Person | undefined>
  /** The entries of a user: several while a secret is replaced. */
  named(user: string): readonly Person[]
  /** Takes other entries instead. */
  use(credentials: readonly Credential[]): void
}

export function createPeople(credentials: readonly Credential[]): People {
  const entriesOf = (list: readonly Credential[]) =>
    list.map((credential) => ({ credential, person: personOf(credential) }))
  let people = entriesOf(credentials)
  return {
    use(list) {
      people = entriesOf(list)
    },
    async verify(user, secret) {
      const entries = people.filter(({ person }) => person.name === user)
      const [first] = people
      // Somebody is compared with in any case.
      const compared = entries.length > 0 || !first ? entries : [first]
      const fits = await Promise.all(compared.map(({ credential }) => isSecret(credential, secret)))
      const index = fits.indexOf(true)
      return entries.length > 0 && index >= 0 ? entries[index]?.person : undefined
    },
    named: (user) => people.filter(({ person }) => person.name === user).map(({ person }) => person),
  }
}

function personOf({ role, user, secret }: Credential): Person {
  return { name: user, role, key: sessionKey(`${role}:${user}:${secret}`) }
}

/** The key that signs sessions, from a secret. It is made slowly, so that a stolen cookie does not help to guess it. */
export function sessionKey(secret: string): string {
  return scryptSync(secret, 'sluice console session', 32, { N: 16_384, r: 8, p: 1 }).toString('base64url')
}
