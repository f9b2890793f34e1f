import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ConsoleConfig, canSignIn } from './config.ts'
import { Problem } from './errors.ts'
import { requireOperator } from './roles.ts'
import { isFromHere } from './same-origin.ts'
import { type People, sessionKey } from './sign-in/credentials.ts'
import { createIdentify, type User } from './sign-in/identify.ts'
import { addSignIn } from './sign-in/routes.ts'
import { createSessions } from './sign-in/session.ts'
import { createThrottle } from './sign-in/throttle.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Who may ask: anybody, or whoever has signed in. Without it: for GET whoever has signed in, for everything else an
     * operator.
     */
    access?: 'anybody' | 'viewer'
  }
  interface FastifyRequest {
    /** Who asks; null before that is known, and on routes for anybody. */
    user: User | null
    /** Whether the person may still see what was asked for: a live page outlasts its request. */
    mayStay(): boolean
  }
}

/** Lets a request pass only if it comes from here, from somebody who has signed in, with the role that it needs. */
export async function addGuard(
  app: FastifyInstance,
  { config, people }: { config: ConsoleConfig; people: People },
): Promise<void> {
  const throttle = createThrottle(() => performance.now())
  const sessions = createSessions({ named: people.named, keyElsewhere: keyOf(config.oidc), now: Date.now })
  const identify = createIdentify({ config, people, sessions, throttle })

  const mayAnybody = canSignIn(config)
  app.decorateRequest('user', null)
  app.decorateRequest('mayStay', () => true)
  app.addHook('onRequest', async (request, reply) => {
    const { access } = request.routeOptions.config
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (!isRead && !isFromHere(request)) {
      throw new Problem(403, 'This request comes from another site. Open the console itself and try again.')
    }
    if (access === 'anybody') return
    if (!mayAnybody) throw new Problem(503, NOBODY_MAY_SIGN_IN)
    const identity = await identify(request, reply)
    if (identity.kind === 'refused') throw new Problem(identity.status, identity.because)
    if (identity.kind === 'nobody') return askToSignIn(request, reply)
    request.user = identity.user
    const { name, by } = identity.user
    if (by === 'session') request.mayStay = () => sessions.isValid(request)
    if (by === 'basic') request.mayStay = () => people.named(name).length > 0
    if (!isRead && access !== 'viewer') requireOperator(request)
  })
  app.addHook('preValidation', async ({ url, body }) => {
    const given = typeof body === 'object' && body !== null ? Object.values(body) : []
    if (url.includes('%00') || given.some((value) => typeof value === 'string' && value.includes('\0'))) {
      throw new Problem(400, 'A NUL cannot be searched for: no text in the database has one.')
    }
  })
  await addSignIn(app, { config, people, sessions, throttle, identify })
}

/** Signs the sessions of those whom a provider has signed in. */
function keyOf(oidc: ConsoleConfig['oidc']): string | undefined {
  return oidc && sessionKey(`${oidc.issuer} ${oidc.clientId} ${oidc.clientSecret}`)
}

const NOBODY_MAY_SIGN_IN =
  'Nobody can sign in yet. Set CONSOLE_CREDENTIALS=operator:USER:SECRET (docs/operations.md) and start the console again.'

/** A browser is led to the page that asks for a secret, and back afterwards. A program is answered 401. */
function askToSignIn(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const isPage = request.headers.accept?.includes('text/html') && !request.url.startsWith('/api/')
  if (!isPage || request.headers['hx-request'] !== undefined) {
    throw new Problem(401, 'Sign in first, or send an entry of CONSOLE_CREDENTIALS by HTTP Basic.')
  }
  const next =
    request.method === 'GET' && request.url !== '/' ? `?next=${encodeURIComponent(request.url)}` : ''
  return reply.redirect(`/sign-in${next}`, 303)
}
