import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { sha256 } from '@sluice/shared/idwise'
import type { Credential } from '@sluice/shared/runtime'

/** @returns whether the request carries one of the credentials. */
export type Authenticate = (request: Pick<IncomingMessage, 'headers' | 'rawHeaders'>) => boolean

/**
 * Compares hashes, so that the time taken shows neither the content nor the length of a secret. Compares with every
 * credential, so that the time does not show which one fits.
 */
export function createAuthenticate(credentials: readonly Credential[]): Authenticate {
  if (credentials.some((credential) => credential.kind === 'none')) return () => true
  const expected = credentials.map(carrierOf)
  const headers = [...new Set(['authorization', ...expected.map(({ header }) => header)])]
  return (request) => {
    let matches = 0
    for (const { header, scheme, digest } of expected) {
      const given = presented(request.headers[header], scheme)
      matches |= Number(timingSafeEqual(sha256(given ?? ''), digest)) & Number(given !== undefined)
    }
    // Node.js silently keeps the first of two headers, or joins them: nobody knows which one is meant.
    return matches === 1 && headers.every((header) => count(request.rawHeaders, header) <= 1)
  }
}

/**
 * Lets nobody in, and takes as long about it as the first of these lists: so the time does not show if there is a
 * source of a name.
 */
export function createNobody(lists: readonly (readonly Credential[])[]): Authenticate {
  const authenticate = createAuthenticate(lists.find(([first]) => first && first.kind !== 'none') ?? [])
  return (request) => authenticate(request) && false
}

/**
 * Whether a request with wrong credentials has what only a sender knows that was given some: a user of this source, or
 * a header that it has for its secret. A bearer token has no such part.
 */
export function createKnowsName(credentials: readonly Credential[]): Authenticate {
  const users = credentials.flatMap((each) => (each.kind === 'basic' ? [sha256(each.user)] : []))
  const headers = credentials.flatMap((each) => (each.kind === 'header' ? [each.name] : []))
  return (request) => {
    const given = presented(request.headers.authorization, 'basic')
    const user = sha256(given?.subarray(0, Math.max(0, given.indexOf(':'))) ?? '')
    const matches = users.filter((each) => timingSafeEqual(user, each)).length
    return matches > 0 || headers.some((name) => request.headers[name] !== undefined)
  }
}

type Carrier = { header: string; scheme: 'basic' | 'bearer' | undefined; digest: Buffer }

function carrierOf(credential: Credential): Carrier {
  switch (credential.kind) {
    case 'basic':
      return {
        header: 'authorization',
        scheme: 'basic',
        digest: sha256(`${credential.user}:${credential.password}`),
      }
    case 'bearer':
      return { header: 'authorization', scheme: 'bearer', digest: sha256(credential.token) }
    case 'header':
      return { header: credential.name, scheme: undefined, digest: sha256(credential.value) }
    case 'none':
      throw new Error('none stands alone')
    default:
      return credential satisfies never
  }
}

/** The secret's bytes in a header; undefined if it has none of this scheme. */
function presented(value: string | string[] | undefined, scheme: Carrier['scheme']): Buffer | undefined {
  if (typeof value !== 'string') return undefined
  if (scheme === undefined) return Buffer.from(value, 'latin1')
  const space = value.indexOf(' ')
  if (space < 0 || value.slice(0, space).toLowerCase() !== scheme) return undefined
  const rest = value.slice(space).replace(/^ +/, '')
  return scheme === 'basic' ? fromBase64(rest) : Buffer.from(rest, 'latin1')
}

/** Strict, with or without padding: Node.js itself would skip characters that base64 does not have. */
function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  const written = bytes.toString('base64')
  return text === written || text === written.replace(/=+$/, '') ? bytes : undefined
}

function count(rawHeaders: readonly string[], name: string): number {
  let found = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] as string
    if (given.length === name.length && given.toLowerCase() === name) found++
  }
  return found
}
