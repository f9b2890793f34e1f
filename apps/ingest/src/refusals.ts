import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { AnswerOutcome, RefusedOutcome } from '@sluice/shared/operations'
import type { FastifyReply } from 'fastify'

/**
 * Everything that the ingest refuses: the one place for a new refusal. The body is always `{"error": …}` with the
 * name of the entry or, if two entries must look alike to the client, with `error`. It is fixed, so that an answer
 * repeats nothing of its request. A refusal with a `label` is counted under it in the metrics; the list of the labels
 * (`operations/state/outcomes.ts`) has words for each.
 */
const REFUSALS = {
  bad_request: { status: 400, label: 'bad_request' },
  unauthorised: {
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="sluice", Bearer realm="sluice"' },
    label: 'unauthorised',
  },
  not_found: { status: 404 },
  method_not_allowed: { status: 405, headers: { allow: 'GET, HEAD, POST' } },
  timeout: { status: 408, label: 'bad_request' },
  too_large: { status: 413, label: 'too_large' },
  too_many_wrong_credentials: {
    status: 429,
    error: 'too_many_requests',
    headers: { 'retry-after': '1' },
    label: 'unauthorised',
  },
  too_many_in_flight: {
    status: 429,
    error: 'too_many_requests',
    headers: { 'retry-after': '1' },
    label: 'too_many',
  },
  headers_too_large: { status: 431, label: 'bad_request' },
  failed: { status: 500, label: 'failed' },
  unavailable: { status: 503, headers: { 'retry-after': '10' }, label: 'unavailable' },
} as const satisfies Record<string, Refusal>

type Refusal = {
  readonly status: number
  readonly error?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly label?: RefusedOutcome
}

export type RefusalKind = keyof typeof REFUSALS

/**
 * Takes note of an answer.
 *
 * @param environment the source, or `none` for a request of no source: never a text that a stranger chose
 * @param milliseconds the time from the complete request to the answer
 */
export type CountAnswer = (environment: string, label: AnswerOutcome, milliseconds?: number) => void

export type Refuse = (reply: FastifyReply, environment: string, kind: RefusalKind) => FastifyReply

/** The refusal of a request. */
export function createRefuse(count: CountAnswer): Refuse {
  return (reply, environment, kind) => {
    const { status, headers, label, error = kind }: Refusal = REFUSALS[kind]
    if (label) count(environment, label)
    if (headers) reply.headers(headers)
    return reply.code(status).send({ error })
  }
}

/** The refusal of bytes that are no HTTP, or do not come in time: there is no reply object to answer with. */
export function createRefuseSocket(count: CountAnswer): (socket: Socket, code: string) => void {
  return (socket, code) => {
    const kind = KIND_OF_CODE[code] ?? 'bad_request'
    const { status, label } = REFUSALS[kind]
    count('none', label)
    const body = JSON.stringify({ error: kind })
    if (socket.writable && code !== 'ECONNRESET') {
      socket.write(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
          `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      )
    }
    socket.destroySoon()
  }
}

/** What Node.js calls it. */
const KIND_OF_CODE: Readonly<Record<string, 'headers_too_large' | 'timeout'>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'timeout',
}

/** What an error of Fastify's is answered as. It has a status below 500 if the client is to blame. */
export function kindOfError({ statusCode = 500 }: { statusCode?: number }): RefusalKind {
  if (statusCode === REFUSALS.too_large.status) return 'too_large'
  return statusCode < 500 ? 'bad_request' : 'failed'
}
