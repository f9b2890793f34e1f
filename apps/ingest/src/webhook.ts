import type { EventKind } from '@sluice/shared/idwise'
import { addressIn, ENVIRONMENT_NAME, failpoint } from '@sluice/shared/runtime'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Accept } from './accept.ts'
import type { Authenticate } from './authenticate.ts'
import type { ConnectionLimit } from './connection-limit.ts'
import type { CredentialThrottle } from './credential-throttle.ts'
import type { CountAnswer, RefusalKind, Refuse } from './refusals.ts'

export const MAX_HEADERS = 100
/** Fastify reads every body as this type: it finds the parser of a known type faster than its parser for all types. */
export const BYTES = 'application/octet-stream'
/** The most requests of a source under way at once. Without a limit senders could fill memory. */
const MAX_IN_FLIGHT = 2_000
/** So many addresses are remembered that had right credentials. */
const MAX_ADDRESSES = 1_000

declare module 'fastify' {
  interface FastifyRequest {
    /** As received. The header itself is overwritten, so that no content type keeps a body from being read. */
    receivedContentType: string | undefined
  }
}

const FOLDER = '/webhooks/idwise/'
/** The path of every name that a source may have. Fastify prefers the path of a source. */
const ANY_NAME = `:source(${ENVIRONMENT_NAME.source})`

/** The name of the source in a URL, whether there is such a source or not; undefined for every other path. */
export function sourceIn(url: string | undefined): string | undefined {
  const path = url?.split('?', 1)[0] ?? ''
  const name = path.startsWith(FOLDER) ? path.slice(FOLDER.length) : ''
  return ENVIRONMENT_NAME.test(name) ? name : undefined
}

/**
 * Adds the routes of a source.
 *
 * @param environment its name; `none` for the routes of all names that are of no source. They answer as those of a
 *   source do to wrong credentials.
 */
export function addWebhook(
  app: FastifyInstance,
  environment: string,
  deps: {
    accept: Accept
    authenticate: Authenticate
    knowsName: Authenticate
    isAllowed(ip: string): boolean
    connectionLimit: ConnectionLimit
    credentialThrottle: CredentialThrottle
    refuse: Refuse
    answered: CountAnswer
    received(environment: string, kind: EventKind): void
    wrongSecret(environment: string): void
  },
): void {
  const { refuse, answered } = deps
  const path = `${FOLDER}${environment === 'none' ? ANY_NAME : environment}`
  let inFlight = 0
  const accepted = new Set<string>()

  /** A listener of the response, since a hook of Fastify's would add and remove two listeners for each response. */
  function leave(): void {
    inFlight--
    failpoint('ingest-after-reply')
  }

  function remember(ip: string): void {
    accepted.add(ip)
    if (accepted.size > MAX_ADDRESSES) accepted.delete(accepted.keys().next().value as string)
  }

  /** Why the body of a request is not read. */
  function objection(request: FastifyRequest): RefusalKind | undefined {
    if (request.raw.rawHeaders.length > 2 * MAX_HEADERS) return 'headers_too_large'
    const isRight = deps.authenticate(request.raw)
    if (!isRight || !deps.isAllowed(request.ip)) {
      // A stranger must not be able to wake people.
      if (isRight || accepted.has(request.ip) || deps.knowsName(request.raw)) deps.wrongSecret(environment)
      return deps.credentialThrottle.addFailure(request.ip) ? 'too_many_wrong_credentials' : 'unauthorised'
    }
    if (!accepted.has(request.ip)) remember(request.ip)
    deps.connectionLimit.setAuthenticated(request.raw.socket)
    return inFlight < MAX_IN_FLIGHT ? undefined : 'too_many_in_flight'
  }

  /** A hook with a callback, since a promise for each request costs as much as everything else here. */
  function admit(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const kind = objection(request)
    if (kind) {
      refuse(reply, environment, kind)
      return
    }
    inFlight++
    reply.raw.on('close', leave)
    failpoint('ingest-after-auth')
    request.receivedContentType = request.headers['content-type']
    request.headers['content-type'] = BYTES
    done()
  }

  // The "Test URL" button of IDWise's portal may send a GET. It has no effect.
  app.get(path, { onRequest: admit }, async (_request, reply) => {
    answered(environment, 'test')
    return reply.code(200).send()
  })
  app.post(path, { onRequest: admit }, async (request, reply) => {
    const began = performance.now()
    const outcome = await deps.accept({
      environment,
      raw: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      sourceAddress: addressIn(request.ip),
      contentType: request.receivedContentType,
      contentEncoding: request.headers['content-encoding'],
      userAgent: request.headers['user-agent'],
      traceparent: single(request.headers.traceparent),
    })
    switch (outcome.kind) {
      case 'accepted':
        answered(environment, 'accepted', performance.now() - began)
        deps.received(environment, outcome.eventKind)
        return reply.code(200).send({ id: outcome.id })
      case 'unavailable':
        return refuse(reply, environment, 'unavailable')
      default:
        return outcome satisfies never
    }
  })
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
