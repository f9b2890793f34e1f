import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorCode, UserError } from './errors.ts'
import type { Metrics } from './metrics.ts'

export type Health = { ready: boolean; [detail: string]: unknown }

/** Serves `/livez` and `/readyz`: 200 or 503 with the details as JSON. */
export function serveProbes(
  options: { host: string; port: number; setting: string },
  health: () => Health,
): Promise<AsyncDisposable & { port: number }> {
  return listen(options, (request, response) => {
    const path = request.url?.split('?', 1)[0]
    if (path !== '/livez' && path !== '/readyz') return response.writeHead(404).end()
    const body = path === '/livez' ? { alive: true } : health()
    const status = 'ready' in body && !body.ready ? 503 : 200
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
}

/** Serves `/metrics` in Prometheus' text format, on a port of its own. */
export function serveMetrics(
  options: { host: string; port: number; setting: string },
  metrics: Metrics,
): Promise<AsyncDisposable & { port: number }> {
  return listen(options, (request, response) => {
    if (request.url?.split('?', 1)[0] !== '/metrics') return response.writeHead(404).end()
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
}

async function listen(
  { host, port, setting }: { host: string; port: number; setting: string },
  listener: RequestListener,
): Promise<AsyncDisposable & { port: number }> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, port, setting)))
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Turns what listening can fail with into a line for the person who chose the port. */
export function listenError(error: unknown, port: number, setting: string): unknown {
  const code = errorCode(error)
  if (code === 'EADDRINUSE') {
    return new UserError(`Port ${port} is taken. Stop what listens there, or set ${setting} to another port.`)
  }
  if (code === 'EACCES') {
    return new UserError(
      `Port ${port} needs more rights than this user has. Set ${setting} to a port above 1023.`,
    )
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new UserError(
      'LISTEN_HOST is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for every address.',
    )
  }
  return error
}
