import { ENVIRONMENTS, type Environment } from '@sluice/shared/envelope'
import { MAX_BODY_BYTES } from '@sluice/shared/idwise'
import { addressMatcher, type Health, probes } from '@sluice/shared/runtime'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Accept } from './accept.ts'
import type { Authenticate } from './authenticate.ts'
import { limitConnections } from './connection-limit.ts'
import { createCredentialThrottle } from './credential-throttle.ts'
import { type CountAnswer, createRefuse, createRefuseSocket, kindOfError } from './refusals.ts'
import { addWebhook, BYTES, environmentOf, MAX_HEADERS } from './webhook.ts'

const MAX_CONNECTIONS = 5_000
const MAX_UNAUTHENTICATED_OF_AN_ADDRESS = 1_000

type ServerDeps = {
  accept: Accept
  authenticate: Readonly<Record<Environment, Authenticate>>
  /** Networks that may post; none: every address may. */
  allowedIps: readonly string[]
  trustedProxies: readonly string[]
  health(): Health
  /** Called when a source of wrong credentials has used up its tries. */
  onManyFailures(source: string): void
  /** True: every answer closes its connection. */
  isClosing(): boolean
  answered: CountAnswer
}

/** The ingest's HTTP server: its limits, and what is the same for every route. */
export function createServer(deps: ServerDeps): FastifyInstance {
  const refuse = createRefuse(deps.answered)
  const refuseSocket = createRefuseSocket(deps.answered)
  const app = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    trustProxy: deps.trustedProxies.length > 0 ? [...deps.trustedProxies] : false,
    // Both limits: with requestTimeout alone Node lets a body trickle for ever.
    requestTimeout: 10_000,
    http: { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 },
    // Longer than the idle time of the usual load balancers (60 s): they would reuse a connection that we close.
    keepAliveTimeout: 65_000,
    return503OnClosing: false,
    logger: false,
    frameworkErrors: (error, _request, reply) => refuse(reply, 'none', kindOfError(error)),
    clientErrorHandler: (error, socket) => refuseSocket(socket, error.code),
  })
  const connectionLimit = limitConnections(app.server, {
    most: MAX_CONNECTIONS,
    mostOfAnAddress: MAX_UNAUTHENTICATED_OF_AN_ADDRESS,
    isProxy: addressMatcher(deps.trustedProxies),
  })
  const credentialThrottle = createCredentialThrottle({
    now: () => performance.now(),
    onMany: deps.onManyFailures,
  })
  // One more than is allowed, so that a request with too many headers can be recognised.
  app.server.maxHeadersCount = MAX_HEADERS + 1
  // A client that has closed its side still gets its answer.
  Object.assign(app.server, { httpAllowHalfOpen: true })
  // Other expectations than 100-continue are ignored: IDWise needs a 200.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(BYTES, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.decorateRequest('receivedContentType', undefined)
  const notFound = ({ url }: FastifyRequest, reply: FastifyReply) =>
    refuse(reply, 'none', environmentOf(url) === 'none' ? 'not_found' : 'method_not_allowed')
  app.setNotFoundHandler(notFound)
  // Refused before the body is read, which nothing needs here.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) notFound(request, reply)
    else done()
  })
  app.setErrorHandler((error: { statusCode?: number }, { url }, reply) =>
    refuse(reply, environmentOf(url), kindOfError(error)),
  )
  app.addHook('onSend', (request, reply, payload, done) => {
    // Only IDWise keeps a connection.
    if (deps.isClosing() || !connectionLimit.isAuthenticated(request.raw.socket)) {
      reply.header('connection', 'close')
    }
    done(null, payload)
  })
  continueOnlyWithCredentials(app, deps.authenticate)
  for (const [path, answer] of Object.entries(probes(deps.health))) {
    app.get(path, async (_request, reply) => {
      const { status, body } = answer()
      return reply.code(status).send(body)
    })
  }
  const isAllowed = deps.allowedIps.length > 0 ? addressMatcher(deps.allowedIps) : () => true
  for (const environment of ENVIRONMENTS) {
    const authenticate = deps.authenticate[environment]
    addWebhook(app, environment, {
      ...deps,
      authenticate,
      isAllowed,
      connectionLimit,
      credentialThrottle,
      refuse,
    })
  }
  return app
}

/** A client that asks before it sends its body is let go on only with right credentials and a size that fits. */
function continueOnlyWithCredentials(app: FastifyInstance, authenticate: ServerDeps['authenticate']): void {
  app.server.on('checkContinue', (request, response) => {
    const environment = environmentOf(request.url)
    const fits = !(Number(request.headers['content-length']) > MAX_BODY_BYTES)
    const isPost = environment !== 'none' && request.method === 'POST'
    if (isPost && fits && authenticate[environment](request)) response.writeContinue()
    // The client may send the body all the same, so the bytes that follow on this connection could be anything.
    else response.setHeader('connection', 'close')
    app.server.emit('request', request, response)
  })
}
