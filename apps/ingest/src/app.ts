import { STATUS_CODES } from 'node:http'
import type { BlockList, Socket } from 'node:net'
import { isIPv4 } from 'node:net'
import { ENVIRONMENTS, type Environment } from '@sluice/shared/envelope'
import { blockList, brief, failpoint, type Health } from '@sluice/shared/runtime'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Accept } from './accept.ts'
import { addressIn } from './address.ts'
import type { Authenticate } from './authenticate.ts'
import { type ConnectionLimit, limitConnections } from './connection-limit.ts'
import { type CredentialThrottle, createCredentialThrottle } from './credential-throttle.ts'

export const BODY_LIMIT_BYTES = 256 * 1024
const MAX_HEADERS = 100
/** What every body is read as; Fastify finds the parser of a type that it knows faster than the one for all others. */
const BYTES = 'application/octet-stream'
/** UpdateRequests whose body is read or whose event is stored: beyond it memory would grow with whoever sends. */
const MAX_IN_FLIGHT = 2_000

const MAX_CONNECTIONS = 5_000
const MAX_STRANGERS_OF_AN_ADDRESS = 1_000

/** What a request ended as; the names are the values of the metric's label. */
export type AnswerKind =
  | 'accepted'
  | 'test'
  | 'unauthorised'
  | 'too_large'
  | 'bad_request'
  | 'too_many'
  | 'unavailable'
  | 'failed'

declare module 'fastify' {
  interface FastifyRequest {
    /** As received: the header itself is overwritten so that no label can stop a body from being read. */
    receivedContentType: string | undefined
  }
}

type AppDeps = {
  accept: Accept
  authenticate: Readonly<Record<Environment, Authenticate>>
  /** Undefined: any address may post. */
  allowedIps: BlockList | undefined
  trustedProxies: readonly string[]
  health(): Health
  /** Told when a source of wrong credentials has had its share of tries. */
  onManyFailures(source: string): void
  /** Answers close their connections from now on. */
  isClosing(): boolean
  answered(environment: Environment | 'none', kind: AnswerKind, milliseconds?: number): void
}

/** The HTTP side of the ingest, apart from its process, so that tests can inject requests. */
export function createApp(deps: AppDeps): FastifyInstance {
  const app = Fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    trustProxy: deps.trustedProxies.length > 0 ? [...deps.trustedProxies] : false,
    // Both limits: with requestTimeout alone Node lets a trickled body stay open.
    requestTimeout: 10_000,
    http: { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 },
    // Longer than the idle time of the usual load balancers (60 s), or they reuse a connection that is closing.
    keepAliveTimeout: 65_000,
    return503OnClosing: false,
    logger: false,
    frameworkErrors: (error, _request, reply) => refuse(reply, error.statusCode ?? 400),
    clientErrorHandler: (error, socket) => {
      deps.answered('none', 'bad_request')
      refuseUnreadable(error.code, socket)
    },
  })
  const proxies = blockList(deps.trustedProxies)
  const strangers = limitConnections(app.server, {
    most: MAX_CONNECTIONS,
    mostOfAnAddress: MAX_STRANGERS_OF_AN_ADDRESS,
    isProxy: (address) => isIn(proxies, address),
  })
  const credentialThrottle = createCredentialThrottle({
    now: () => performance.now(),
    onMany: deps.onManyFailures,
  })
  app.server.maxHeadersCount = MAX_HEADERS + 1
  // A client that has nothing more to say still gets its answer.
  Object.assign(app.server, { httpAllowHalfOpen: true })
  // Whatever else is expected, 200 is what IDWise needs.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(BYTES, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.decorateRequest('receivedContentType', undefined)
  app.setNotFoundHandler(notFound)
  // Before the body is read, which nobody wants here.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) notFound(request, reply)
    else done()
  })
  app.setErrorHandler((error: { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500
    deps.answered(
      environmentOf(request),
      status === 413 ? 'too_large' : status < 500 ? 'bad_request' : 'failed',
    )
    return refuse(reply, status)
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    // Nobody but the sender keeps a connection.
    if (deps.isClosing() || strangers.has(request.raw.socket)) reply.header('connection', 'close')
    done(null, payload)
  })
  continueOnlyForCredentials(app, deps.authenticate)
  app.get('/livez', async () => ({ alive: true }))
  app.get('/readyz', async (_request, reply) => {
    const health = deps.health()
    return reply.code(health.ready ? 200 : 503).send(brief(health))
  })
  for (const environment of ENVIRONMENTS)
    webhook(app, environment, { ...deps, strangers, credentialThrottle })
  return app
}

const PATH = /^\/webhooks\/idwise\/(live|sandbox)$/

type WebhookDeps = AppDeps & { strangers: ConnectionLimit; credentialThrottle: CredentialThrottle }

function webhook(app: FastifyInstance, environment: Environment, deps: WebhookDeps): void {
  let inFlight = 0
  // Heard of the response itself: a hook of Fastify's would add and remove two listeners for each.
  function leave(): void {
    inFlight--
    failpoint('ingest-after-reply')
  }

  /** What keeps a request from having its body read. */
  function objection(request: FastifyRequest): [status: number, kind: AnswerKind] | undefined {
    if (request.raw.rawHeaders.length > 2 * MAX_HEADERS) return [431, 'bad_request']
    if (!deps.authenticate[environment](request.raw) || !isAllowed(request.ip, deps.allowedIps)) {
      return [deps.credentialThrottle.note(request.ip) ? 429 : 401, 'unauthorised']
    }
    deps.strangers.welcome(request.raw.socket)
    return inFlight < MAX_IN_FLIGHT ? undefined : [429, 'too_many']
  }

  /** A hook that calls back, since a promise for each request costs as much as all the rest of it. */
  function admit(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const objects = objection(request)
    if (objects) {
      const [status, kind] = objects
      deps.answered(environment, kind)
      refuse(status === 429 ? reply.header('retry-after', 1) : reply, status)
      return
    }
    inFlight++
    reply.raw.on('close', leave)
    failpoint('ingest-after-auth')
    request.receivedContentType = request.headers['content-type']
    request.headers['content-type'] = BYTES
    done()
  }

  // The portal's "Test URL" may come as GET; it has no effect.
  app.get(`/webhooks/idwise/${environment}`, { onRequest: admit }, async (_request, reply) => {
    deps.answered(environment, 'test')
    return reply.code(200).send()
  })
  app.post(`/webhooks/idwise/${environment}`, { onRequest: admit }, async (request, reply) => {
    const began = performance.now()
    const outcome = await deps.accept({
      environment,
      raw: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      sourceAddress: addressIn(request.ip),
      contentType: request.receivedContentType,
      userAgent: request.headers['user-agent'],
      traceparent: single(request.headers.traceparent),
    })
    deps.answered(environment, outcome.kind, performance.now() - began)
    switch (outcome.kind) {
      case 'accepted':
        return reply.code(200).send({ id: outcome.id })
      case 'unavailable':
        return refuse(reply.header('retry-after', outcome.retryAfterSeconds), 503)
      default:
        return outcome satisfies never
    }
  })
}

/** A client that asks before it sends its body is told to go on only with credentials and a size that will do. */
function continueOnlyForCredentials(app: FastifyInstance, authenticate: AppDeps['authenticate']): void {
  app.server.on('checkContinue', (request, response) => {
    const environment = PATH.exec(request.url?.split('?', 1)[0] ?? '')?.[1] as Environment | undefined
    const fits = !(Number(request.headers['content-length']) > BODY_LIMIT_BYTES)
    const welcome = environment && request.method === 'POST' && fits && authenticate[environment](request)
    if (welcome) response.writeContinue()
    // Refused, the body may come or not: nothing that follows on this connection could be told from it.
    else response.setHeader('connection', 'close')
    app.server.emit('request', request, response)
  })
}

function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (environmentOf(request) === 'none') return refuse(reply, 404)
  return refuse(reply.header('allow', 'GET, HEAD, POST'), 405)
}

function environmentOf(request: FastifyRequest): Environment | 'none' {
  const path = request.url.split('?', 1)[0] ?? ''
  return (PATH.exec(path)?.[1] as Environment | undefined) ?? 'none'
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'bad_request',
  401: 'unauthorised',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'timeout',
  413: 'too_large',
  414: 'uri_too_long',
  415: 'bad_request',
  429: 'too_many_requests',
  431: 'headers_too_large',
  503: 'unavailable',
}

/** Fixed bodies: nothing of the request is echoed, and every 401 is the same. */
function refuse(reply: FastifyReply, status: number): FastifyReply {
  if (status === 401) reply.header('www-authenticate', 'Basic realm="sluice", Bearer realm="sluice"')
  return reply.code(status).send({ error: REASONS[status] ?? 'failed' })
}

/** What is no HTTP has no reply object to answer with. */
function refuseUnreadable(code: string, socket: Socket): void {
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[code] ?? 400
  const body = JSON.stringify({ error: REASONS[status] })
  if (socket.writable && code !== 'ECONNRESET') {
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
        `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}

function isAllowed(ip: string, allowed: BlockList | undefined): boolean {
  return allowed === undefined || isIn(allowed, ip)
}

function isIn(list: BlockList, ip: string): boolean {
  const address = addressIn(ip)
  return address !== undefined && list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
