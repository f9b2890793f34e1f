import { randomBytes } from 'node:crypto'
import cookies from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Person, Role } from './credentials.ts'

const COOKIE = '__Host-sluice'
const IDLE_MS = 30 * 60_000
const RENEW_MS = 5 * 60_000
const LONGEST_MS = 12 * 60 * 60_000
const MAX_ENDED = 10_000

/** What the cookie holds. Times are ms since 1970. */
type Session = {
  readonly id: string
  readonly user: string
  readonly since: number
  readonly seen: number
  /** Of a person whom a provider has signed in. */
  readonly role?: Role
}

/**
 * Sessions in a signed cookie, without a store: each request looks its person up in the settings, so a changed role or
 * secret ends a session at once, and several consoles need nothing in common. A session ends 30 minutes after the last
 * request, and 12 hours after the sign-in.
 */
export type Sessions = {
  begin(reply: FastifyReply, person: Person): void
  /** Begins the session of a person whom a provider has signed in. */
  beginElsewhere(reply: FastifyReply, person: Pick<Person, 'name' | 'role'>): void
  /** @returns the person of a valid session, and renews it */
  read(request: FastifyRequest, reply: FastifyReply): Person | undefined
  isValid(request: FastifyRequest): boolean
  /** This console also refuses copies of the cookie from now on. */
  end(request: FastifyRequest, reply: FastifyReply): void
}

/**
 * @param deps.named the people of a user name, of whom one has signed the session
 * @param deps.keyElsewhere signs the sessions of people whom a provider has signed in
 */
export function createSessions(deps: {
  named(user: string): readonly Person[]
  keyElsewhere: string | undefined
  now(): number
}): Sessions {
  const { named, keyElsewhere, now } = deps
  const ended = new Map<string, number>()

  function write(reply: FastifyReply, person: Person, session: Session): void {
    const text = Buffer.from(JSON.stringify(session)).toString('base64url')
    reply.setCookie(COOKIE, cookies.sign(text, person.key), {
      path: '/',
      httpOnly: true,
      secure: true,
      sameSite: 'strict',
    })
  }

  function find(request: FastifyRequest): { session: Session; person: Person } | undefined {
    const cookie = request.cookies[COOKIE]
    const session = cookie ? readSession(cookie) : undefined
    if (!cookie || !session || ended.has(session.id)) return undefined
    const at = now()
    if (at - session.seen > IDLE_MS || at - session.since > LONGEST_MS) return undefined
    const person = candidates(session).find(({ key }) => cookies.unsign(cookie, key).valid)
    return person && { session, person }
  }

  function candidates({ user, role }: Session): readonly Person[] {
    if (role === undefined) return named(user)
    return keyElsewhere === undefined ? [] : [{ name: user, role, key: keyElsewhere }]
  }

  function begin(reply: FastifyReply, person: Person, more: Pick<Session, 'role'> = {}): void {
    const at = now()
    const id = randomBytes(32).toString('base64url')
    write(reply, person, { id, user: person.name, since: at, seen: at, ...more })
  }

  return {
    begin: (reply, person) => begin(reply, person),
    beginElsewhere(reply, { name, role }) {
      if (keyElsewhere !== undefined) begin(reply, { name, role, key: keyElsewhere }, { role })
    },
    read(request, reply) {
      const found = find(request)
      if (!found) return undefined
      const { session, person } = found
      const at = now()
      if (at - session.seen > RENEW_MS) write(reply, person, { ...session, seen: at })
      return person
    },
    isValid: (request) => find(request) !== undefined,
    end(request, reply) {
      const found = find(request)
      if (found) {
        for (const [id, since] of ended) if (now() - since > LONGEST_MS) ended.delete(id)
        if (ended.size < MAX_ENDED) ended.set(found.session.id, found.session.since)
      }
      reply.clearCookie(COOKIE, { path: '/', httpOnly: true, secure: true, sameSite: 'strict' })
    },
  }
}

/** Reads what a cookie says, before its signature is checked. */
function readSession(cookie: string): Session | undefined {
  try {
    const session = JSON.parse(Buffer.from(cookie.split('.')[0] ?? '', 'base64url').toString())
    const { id, user, since, seen, role } = session
    const isSession = typeof id === 'string' && typeof user === 'string'
    if (!isSession || !Number.isFinite(since) || !Number.isFinite(seen)) return undefined
    return { id, user, since, seen, ...(role !== undefined && { role }) }
  } catch {
    return undefined
  }
}
