import { createHmac, randomBytes } from 'node:crypto'
import { addressMatcher } from '@sluice/shared/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ConsoleConfig } from '../config.ts'
import { isPrivate } from '../same-origin.ts'
import type { People, Person, Role } from './credentials.ts'
import type { Sessions } from './session.ts'
import type { Throttle } from './throttle.ts'

/** Who asks. */
export type User = { readonly name: string; readonly role: Role; readonly by: 'session' | 'basic' | 'proxy' }

/** `refused`: credentials came with the request, and they are wrong. */
type Identity =
  | { readonly kind: 'user'; readonly user: User }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'refused'; readonly status: 400 | 401 | 429; readonly because: string }

export type Identify = (request: FastifyRequest, reply: FastifyReply) => Promise<Identity>

const MAX_KNOWN = 100

/** Finds out who asks: by HTTP Basic, by the header of a trusted proxy, or by the session's cookie. */
export function createIdentify(deps: {
  config: Pick<ConsoleConfig, 'userHeader' | 'trustedProxies' | 'operators'>
  people: People
  sessions: Sessions
  throttle: Throttle
}): Identify {
  const { people, sessions, throttle } = deps
  const { userHeader, trustedProxies, operators } = deps.config
  const isProxy = addressMatcher(trustedProxies)
  const known = createKnown()

  async function byBasic(request: FastifyRequest, header: string): Promise<Identity> {
    if (!isPrivate(request))
      return { kind: 'refused', status: 400, because: 'Secrets are taken over HTTPS only.' }
    const given = credentialsIn(header)
    const before = known.get(header)
    if (before && people.named(before.name).some(({ key }) => key === before.key))
      return { kind: 'user', user: userOf(before, 'basic') }
    const user = given?.user ?? ''
    if (!throttle.begin(user, request.ip)) {
      return { kind: 'refused', status: 429, because: 'Too many wrong secrets. Try again in 15 minutes.' }
    }
    const person = given && (await people.verify(given.user, given.secret))
    if (!person) {
      return {
        kind: 'refused',
        status: 401,
        because: 'No entry of CONSOLE_CREDENTIALS has this user and secret.',
      }
    }
    throttle.forgive(user, request.ip)
    known.add(header, person)
    return { kind: 'user', user: userOf(person, 'basic') }
  }

  return async (request, reply) => {
    const { authorization } = request.headers
    if (authorization !== undefined) return byBasic(request, authorization)
    const named = userHeader && isProxy(request.socket.remoteAddress ?? '') && request.headers[userHeader]
    if (typeof named === 'string' && named !== '') {
      const role = operators.includes(named) ? 'operator' : 'viewer'
      return { kind: 'user', user: { name: named.slice(0, 100), role, by: 'proxy' } }
    }
    const person = sessions.read(request, reply)
    return person ? { kind: 'user', user: userOf(person, 'session') } : { kind: 'nobody' }
  }
}

const userOf = ({ name, role }: Person, by: User['by']): User => ({ name, role, by })

function credentialsIn(header: string): { user: string; secret: string } | undefined {
  const [, encoded = ''] = /^basic +(\S+)$/i.exec(header) ?? []
  const [, user, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  return user === undefined || secret === undefined ? undefined : { user, secret }
}

/** The headers that were right, as hashes: a slow hash would otherwise be made for each request of a script. */
function createKnown() {
  const key = randomBytes(32)
  const hashed = (header: string) => createHmac('sha256', key).update(header).digest('base64')
  const people = new Map<string, Person>()
  return {
    get: (header: string) => people.get(hashed(header)),
    add(header: string, person: Person) {
      if (people.size < MAX_KNOWN) people.set(hashed(header), person)
    },
  }
}
