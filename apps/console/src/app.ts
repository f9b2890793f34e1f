import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import helmet from '@fastify/helmet'
import { describeError, type Health, probes } from '@sluice/shared/runtime'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { serializerCompiler } from 'fastify-type-provider-zod'
import { addApi } from './api/index.ts'
import { addAssets } from './assets.ts'
import { type App, type ConsoleDeps, createFastify } from './context.ts'
import { answerError, Problem } from './errors.ts'
import { addGuard } from './guard.ts'
import { badgeColours } from './parts/badge.ts'
import { addPages } from './routes/index.ts'
import { validatorCompiler } from './validate.ts'

/** Pages and API. Nothing listens yet. */
export async function createApp(deps: ConsoleDeps): Promise<App> {
  const app = createFastify(deps.config.trustedProxies)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'same-origin' },
    // The proxy that ends TLS knows for how long the whole host has HTTPS.
    hsts: false,
  })
  await app.register(cookie)
  await app.register(formbody)
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    done(null, payload)
  })
  app.setErrorHandler((error, request, reply) => {
    const status = answerError(error, request, reply)
    if (status >= 500) deps.log.warn({ error: describeError(error) }, 'a page or an answer of the API failed')
    return reply
  })
  app.setNotFoundHandler((request, reply) => {
    answerError(new Problem(404, 'There is no such page.'), request, reply)
    return reply
  })
  addProbes(app, deps.health)
  addAssets(app, badgeColours(deps.config.sources))
  await addGuard(app, deps)
  await addApi(app, deps)
  addPages(app, deps)
  return app
}

/** Of every page but /queues, whose own page needs more. */
const CONTENT_SECURITY_POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'"],
  'connect-src': ["'self'"],
  'frame-ancestors': ["'none'"],
  'base-uri': ["'none'"],
  'form-action': ["'self'"],
}

function addProbes(app: FastifyInstance, health: () => Health): void {
  for (const [path, answer] of Object.entries(probes(health))) {
    const options = { config: { access: 'anybody' as const }, schema: { hide: true } }
    app.get(path, options, async (_request: FastifyRequest, reply: FastifyReply) => {
      const { status, body } = answer()
      return reply.code(status).send(body)
    })
  }
}
