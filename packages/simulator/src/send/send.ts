import http from 'node:http'
import https from 'node:https'
import type { Credential } from '@sluice/shared/runtime'
import type { Outcome } from '../ledger.ts'

/** How the bytes are sent: at once, in parts, broken off inside the body, or without waiting for the answer. */
export type Manner = 'plain' | 'slow' | 'cut' | 'hang_up'

type Request = {
  readonly environment: string
  readonly bytes: Buffer
  readonly contentType?: string
  readonly credential: Credential
  readonly manner: Manner
}

/** What the sender saw of one attempt. Only `answered` with status 200 is a success ("Configure Webhook URLs"). */
export type Answer =
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: Exclude<Outcome, 'answered'> }

export type Send = (request: Request) => Promise<Answer>

const DROPS = 4
const DROP_EVERY_MS = 100

/**
 * Sends over kept-alive connections, at most `connections` at a time. A request waits at most `timeoutMs` for a
 * connection, so that requests to a receiver that hangs do not pile up. Then it has `timeoutMs` for its answer, so that
 * a slow receiver can still answer.
 *
 * @param url of the receiver, without the paths of the webhooks
 */
export function createSend({
  url,
  connections,
  timeoutMs,
}: {
  url: URL
  connections: number
  timeoutMs: number
}) {
  const { Agent, request } = url.protocol === 'https:' ? https : http
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const base = url.pathname.replace(/\/$/, '')
  const target = {
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    agent,
  }

  const send: Send = ({ environment, bytes, contentType, credential, manner }) =>
    new Promise((resolve) => {
      const headers: http.OutgoingHttpHeaders = { 'content-length': bytes.length, ...headerOf(credential) }
      if (contentType) headers['content-type'] = contentType
      const outgoing = request({
        ...target,
        method: 'POST',
        path: `${base}/webhooks/idwise/${environment}`,
        headers,
      })
      let connected = false
      const timer = setTimeout(() => end({ kind: connected ? 'timed_out' : 'no_connection' }), timeoutMs)

      outgoing.on('socket', (socket) => {
        if (!socket.connecting) begin()
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', begin)
      })
      outgoing.on('error', () => end({ kind: connected ? 'broken' : 'refused' }))
      outgoing.on('response', (response) => {
        response.on('end', () => finish({ kind: 'answered', status: response.statusCode ?? 0 }))
        response.on('error', () => end({ kind: 'broken' }))
        response.resume()
      })

      // Only when there is a connection: otherwise a request that was never sent would look like one that may have
      // arrived.
      function begin() {
        connected = true
        timer.refresh()
        write(outgoing, bytes, manner, end)
      }
      function end(answer: Answer) {
        outgoing.destroy()
        finish(answer)
      }
      function finish(answer: Answer) {
        clearTimeout(timer)
        resolve(answer)
      }
    })

  return { send, [Symbol.dispose]: () => agent.destroy() }
}

function write(
  outgoing: http.ClientRequest,
  bytes: Buffer,
  manner: Manner,
  end: (answer: Answer) => void,
): void {
  switch (manner) {
    case 'plain':
      outgoing.end(bytes)
      return
    case 'cut':
      outgoing.write(bytes.subarray(0, bytes.length >> 1), () => end({ kind: 'cut' }))
      return
    case 'hang_up':
      outgoing.end(bytes, () => end({ kind: 'hung_up' }))
      return
    case 'slow':
      drip(outgoing, bytes)
      return
    default:
      manner satisfies never
  }
}

function drip(outgoing: http.ClientRequest, bytes: Buffer, drop = 1): void {
  if (outgoing.destroyed) return
  const size = Math.ceil(bytes.length / DROPS)
  const part = bytes.subarray((drop - 1) * size, drop * size)
  if (drop === DROPS) outgoing.end(part)
  else {
    outgoing.write(part)
    setTimeout(() => drip(outgoing, bytes, drop + 1), DROP_EVERY_MS)
  }
}

function headerOf(credential: Credential): http.OutgoingHttpHeaders {
  switch (credential.kind) {
    case 'basic':
      return {
        authorization: `Basic ${Buffer.from(`${credential.user}:${credential.password}`).toString('base64')}`,
      }
    case 'bearer':
      return { authorization: `Bearer ${credential.token}` }
    case 'header':
      return { [credential.name]: credential.value }
    case 'none':
      return {}
    default:
      return credential satisfies never
  }
}
