import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import * as z from 'zod'
import type { ConsoleConfig } from '../config.ts'
import type { App } from '../context.ts'
import { Problem } from '../errors.ts'
import { page } from '../layout.ts'
import { signInPage } from '../pages/sign-in.ts'
import { isPrivate } from '../same-origin.ts'
import type { People } from './credentials.ts'
import type { Identify } from './identify.ts'
import { NEXT, pathOf } from './next.ts'
import { addOidc } from './oidc.ts'
import type { Sessions } from './session.ts'
import type { Throttle } from './throttle.ts'

/** The page that asks for user and secret, and the ends of a session. */
export async function addSignIn(
  fastify: FastifyInstance,
  deps: { config: ConsoleConfig; people: People; sessions: Sessions; throttle: Throttle; identify: Identify },
): Promise<void> {
  const { config, people, sessions, throttle, identify } = deps
  const app = fastify as unknown as App
  const forAnybody = { config: { access: 'anybody' as const } }

  function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    shown: { status?: number; next?: string | undefined; user?: string; problem?: string },
  ): FastifyReply {
    const { status = 200, ...rest } = shown
    const needsHttps = !isPrivate(request)
    const body = signInPage({ ...rest, needsHttps, withOidc: config.oidc !== undefined })
    return reply
      .code(status)
      .type('text/html; charset=utf-8')
      .send(String(page(request, { title: 'Sign in', body })))
  }

  app.get(
    '/sign-in',
    { ...forAnybody, schema: { hide: true, querystring: z.object({ next: NEXT }) } },
    async (request, reply) => {
      if (config.credentials.length + Number(config.oidc !== undefined) === 0) {
        throw new Problem(
          503,
          'Nobody can sign in here. Set CONSOLE_CREDENTIALS=operator:USER:SECRET and start the console again.',
        )
      }
      const { kind } = await identify(request, reply)
      if (kind === 'user') return reply.redirect(pathOf(request.query.next), 303)
      return answer(request, reply, { next: request.query.next })
    },
  )

  const form = z.object({ user: z.string().max(200), secret: z.string().max(1_000), next: NEXT })
  app.post('/sign-in', { ...forAnybody, schema: { hide: true, body: form } }, async (request, reply) => {
    const { user, secret, next } = request.body
    if (!isPrivate(request)) return answer(request, reply, { status: 400, next, user })
    if (!throttle.begin(user, request.ip)) {
      reply.header('retry-after', '900')
      const problem = 'Too many wrong secrets. Try again in 15 minutes.'
      return answer(request, reply, { status: 429, next, user, problem })
    }
    const person = await people.verify(user, secret)
    if (!person) {
      return answer(request, reply, { status: 401, next, user, problem: 'This user and secret do not fit.' })
    }
    throttle.forgive(user, request.ip)
    sessions.begin(reply, person)
    return reply.redirect(pathOf(next), 303)
  })

  app.post('/sign-out', { ...forAnybody, schema: { hide: true } }, (request, reply) => {
    sessions.end(request, reply)
    return reply.redirect('/sign-in', 303)
  })
  if (config.oidc) await addOidc(app, { config, oidc: config.oidc, sessions })
}
