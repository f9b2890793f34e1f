import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorCode, UserError } from './errors.ts'
import type { Metrics } from './metrics.ts'

/** The details say what is wrong with which store, and where it is: they are for the operator alone. */
export type Health = { ready: boolean; [detail: string]: unknown }

const STORES = ['postgres', 'redis'] as const
/** Where some of several shards are down, the others take events. */
const isUp = (state: unknown) => /^(up|current|newer|\d+ of \d+ shards down)$/.test(String(state))

/** What anybody may know: whether it is ready, and which of its stores can be used. */
export function brief(
  health: Health,
): { ready: boolean } & Partial<Record<'postgres' | 'redis', 'up' | 'down'>> {
  const stores = STORES.filter((name) => name in health && health[name] !== 'not configured')
  return {
    ready: health.ready,
    ...Object.fromEntries(stores.map((name) => [name, isUp(health[name]) ? 'up' : 'down'])),
  }
}

type Address = { host: string; port: number }

/**
 * Serves `/livez` and `/readyz`: 200 or 503, in brief.
 *
 * @param setting names the port for the person whose port is taken
 */
export function serveProbes(
  address: Address,
  health: () => Health,
  setting = 'WORKER_PORT',
): Promise<AsyncDisposable & { port: number }> {
  return listen(address, setting, (request, response) => {
    const path = pathOf(request)
    if (path === '/livez') return answer(response, 200, { alive: true })
    if (path !== '/readyz') return response.writeHead(404).end()
    const now = health()
    answer(response, now.ready ? 200 : 503, brief(now))
  })
}

/** Serves `/metrics` in Prometheus' text format and `/readyz` with the details, on a port of its own. */
export function serveMetrics(
  address: Address,
  metrics: Metrics,
  health: () => Health,
): Promise<AsyncDisposable & { port: number }> {
  return listen(address, 'METRICS_PORT', (request, response) => {
    const path = pathOf(request)
    if (path === '/readyz') {
      const now = health()
      return answer(response, now.ready ? 200 : 503, now)
    }
    if (path !== '/metrics') return response.writeHead(404).end()
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
}

const pathOf = (request: IncomingMessage) => request.url?.split('?', 1)[0]

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function listen(
  { host, port }: Address,
  setting: string,
  listener: RequestListener,
): Promise<AsyncDisposable & { port: number }> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, port, setting, 'PROBES_HOST')))
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

/** Turns what listening can fail with into a line for the person who chose port and host. */
export function listenError(error: unknown, port: number, setting: string, hostSetting: string): unknown {
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
      `${hostSetting} is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for every address.`,
    )
  }
  return error
}
