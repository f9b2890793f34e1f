import { type EventKind, MAX_BODY_BYTES } from '@sluice/shared/idwise'
import { addressMatcher, type Health, probes } from '@sluice/shared/runtime'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Accept } from './accept.ts'
import type { Authenticate } from './authenticate.ts'
import { limitConnections } from './connection-limit.ts'
import { createCredentialThrottle } from './credential-throttle.ts'
import { type CountAnswer, createRefuse, createRefuseSocket, kindOfError } from './refusals.ts'
import type { OfSource } from './source-settings.ts'
import { addWebhook, BYTES, MAX_HEADERS, sourceIn } from './webhook.ts'

const MAX_CONNECTIONS = 5_000
const MAX_UNAUTHENTICATED_OF_AN_ADDRESS = 1_000

type ServerDeps = {
  accept: Accept
  /** The sources, each with its way to authenticate. */
  authenticate: OfSource<Authenticate>
  /** Of each source: whether a request has a name that only its senders know. */
  knowsName: OfSource<Authenticate>
  /** For the paths of no source: lets nobody in, and takes as long about it. */
  nobody: Authenticate
  /** Networks that may post; none: every address may. */
  allowedIps: OfSource<readonly string[]>
  trustedProxies: readonly string[]
  health(): Health
  /** Called when a source of wrong credentials has used up its tries. */
  onManyFailures(source: string): void
  /** True: every answer closes its connection. */
  isClosing(): boolean
  answered: CountAnswer
  received(environment: string, kind: EventKind): void
  /** Called when a known sender had wrong credentials. */
  wrongSecret(environment: string): void
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
  const environmentIn = (url: string) => {
    const name = sourceIn(url)
    return name !== undefined && Object.hasOwn(deps.authenticate, name) ? name : 'none'
  }
  const notFound = ({ url }: FastifyRequest, reply: FastifyReply) =>
    refuse(reply, 'none', sourceIn(url) === undefined ? 'not_found' : 'method_not_allowed')
  app.setNotFoundHandler(notFound)
  // Refused before the body is read, which nothing needs here.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) notFound(request, reply)
    else done()
  })
  app.setErrorHandler((error: { statusCode?: number }, { url }, reply) =>
    refuse(reply, environmentIn(url), kindOfError(error)),
  )
  app.addHook('onSend', (request, reply, payload, done) => {
    // Only IDWise keeps a connection.
    if (deps.isClosing() || !connectionLimit.isAuthenticated(request.raw.socket)) {
      reply.header('connection', 'close')
    }
    done(null, payload)
  })
  continueOnlyWithCredentials(app, (name) => deps.authenticate[name] ?? deps.nobody)
  for (const [path, answer] of Object.entries(probes(deps.health))) {
    app.get(path, async (_request, reply) => {
      const { status, body } = answer()
      return reply.code(status).send(body)
    })
  }
  // It takes as long as that of a source.
  const [first] = Object.values(deps.knowsName)
  const knowsNobody: Authenticate = (request) => first?.(request) === true && false
  const common = { ...deps, connectionLimit, credentialThrottle, refuse }
  for (const [environment, authenticate] of Object.entries(deps.authenticate)) {
    const networks = deps.allowedIps[environment] ?? []
    const isAllowed = networks.length > 0 ? addressMatcher(networks) : () => true
    const knowsName = deps.knowsName[environment] ?? (() => false)
    addWebhook(app, environment, { ...common, authenticate, knowsName, isAllowed })
  }
  addWebhook(app, 'none', {
    ...common,
    authenticate: deps.nobody,
    knowsName: knowsNobody,
    isAllowed: () => false,
  })
  return app
}

/** A client that asks before it sends its body is let go on only with right credentials and a size that fits. */
function continueOnlyWithCredentials(
  app: FastifyInstance,
  authenticateOf: (source: string) => Authenticate,
): void {
  app.server.on('checkContinue', (request, response) => {
    const source = sourceIn(request.url)
    const fits = !(Number(request.headers['content-length']) > MAX_BODY_BYTES)
    const isPost = request.method === 'POST'
    if (source !== undefined && isPost && fits && authenticateOf(source)(request)) response.writeContinue()
    // The client may send the body all the same, so the bytes that follow on this connection could be anything.
    else response.setHeader('connection', 'close')
    app.server.emit('request', request, response)
  })
}
