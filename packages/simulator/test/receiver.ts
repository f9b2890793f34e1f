import { createHash } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { SimulateOptions } from '../src/index.ts'
import { parseMix } from '../src/index.ts'

export type Received = {
  environment: string
  bytes: Buffer
  sha256: string
  headers: http.IncomingHttpHeaders
  at: number
}

/** An HTTP server on loopback. `answer` decides how each whole request is answered. */
export async function startReceiver(answer: (response: http.ServerResponse, received: Received) => void) {
  const requests: Received[] = []
  const server = http.createServer(async (request, response) => {
    try {
      const bytes = Buffer.concat(await request.toArray())
      const received = {
        environment: request.url?.split('/').at(-1) ?? '',
        bytes,
        sha256: createHash('sha256').update(bytes).digest('hex'),
        headers: request.headers,
        at: Date.now(),
      }
      requests.push(received)
      answer(response, received)
    } catch {
      // The sender broke off, so there is no request.
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = () => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  }
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, requests, [Symbol.asyncDispose]: stop }
}

export function status(code: number) {
  return (response: http.ServerResponse) => {
    response.writeHead(code).end()
  }
}

/** One event. 5, 10 and 15 minutes become 50, 100 and 150 ms. */
export function oneEvent(url: string): SimulateOptions {
  return {
    url,
    credentials: { live: [{ kind: 'none' }] },
    seed: 'one',
    mix: parseMix('plain'),
    ratePerSecond: 1,
    durationMs: 1,
    connections: 4,
    timeoutMs: 300,
    timeScale: 6000,
  }
}
