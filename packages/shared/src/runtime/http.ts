// Node's own server: its three paths need no framework, whose memory the worker would then carry as well.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorCode, UserError } from './errors.ts'
import type { Metrics } from './metrics.ts'

/** The details say what is wrong with which store, and where the store is: they are for the operator alone. */
export type Health = { ready: boolean; [detail: string]: unknown }

const STORES = ['postgres', 'redis'] as const
/** While some of several shards are down, the others take events. */
const isUp = (state: unknown) => /^(up|current|newer|\d+ of \d+ shards down)$/.test(String(state))

/** What anybody may know: whether the process is ready, and which of its stores can be used. */
function brief(health: Health): Health {
  const stores = STORES.filter((name) => name in health && health[name] !== 'not configured')
  return {
    ready: health.ready,
    ...Object.fromEntries(stores.map((name) => [name, isUp(health[name]) ? 'up' : 'down'])),
  }
}

type Address = { host: string; port: number }
/** A body is sent as JSON, unless it has a `type`: then it is text. */
type Answer = { status: number; body: unknown; type?: string }

/** The probes of every process, by their paths: whether it lives, and in brief whether it is ready (200 or 503). */
export function probes(health: () => Health) {
  return {
    '/livez': (): Answer => ({ status: 200, body: { alive: true } }),
    '/readyz': (): Answer => readiness(health(), brief),
  }
}

const readiness = (now: Health, shown: (health: Health) => Health): Answer => ({
  status: now.ready ? 200 : 503,
  body: shown(now),
})

/**
 * Serves the probes on a port of their own. The ingest has them on the port of the webhooks.
 *
 * @param setting names the port in the message when the port is taken
 */
export const serveProbes = (address: Address, health: () => Health, setting = 'WORKER_PORT') =>
  serve(address, setting, probes(health))

/** Serves `/metrics` in the text format of Prometheus, and `/readyz` with all details, on METRICS_PORT. */
export const serveMetrics = (address: Address, metrics: Metrics, health: () => Health) =>
  serve(address, 'METRICS_PORT', {
    '/readyz': () => readiness(health(), (now) => now),
    '/metrics': async () => ({ status: 200, body: await metrics.text(), type: metrics.contentType }),
  })

async function serve(
  { host, port }: Address,
  setting: string,
  paths: Readonly<Record<string, () => Answer | Promise<Answer>>>,
): Promise<AsyncDisposable & { port: number }> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, async (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? ''
    const answer = Object.hasOwn(paths, path) && paths[path]
    if (!answer) return response.writeHead(404).end()
    try {
      const { status, body, type } = await answer()
      response.writeHead(status, { 'content-type': type ?? 'application/json' })
      return response.end(type ? body : JSON.stringify(body))
    } catch {
      return response.writeHead(500).end()
    }
  })
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

/** Turns an error of listening into a line for the person who chose port and host. */
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
