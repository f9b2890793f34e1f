import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { sourceOf } from './address.ts'

/** Connections that have not presented right credentials yet. */
export type ConnectionLimit = {
  has(socket: Socket): boolean
  /** It has presented them: from now on it is closed for nobody. */
  welcome(socket: Socket): void
}

/**
 * Keeps room for whoever comes: where the server is full, or one address has more than its share of strangers, the stranger
 * that has been there longest makes way. So nobody who holds connections open keeps the sender out, whose own ones are
 * strangers only until their first request. Costs nothing for a connection that is known.
 *
 * @param isProxy addresses that many senders share have no share of their own
 */
export function limitConnections(
  server: Server,
  {
    most,
    mostOfAnAddress,
    isProxy,
  }: { most: number; mostOfAnAddress: number; isProxy(address: string): boolean },
): ConnectionLimit {
  // In the order in which they came.
  const strangers = new Set<Socket>()
  const bySource = new Map<string, Set<Socket>>()
  const sources = new WeakMap<Socket, string>()
  let open = 0

  function forget(socket: Socket): void {
    if (!strangers.delete(socket)) return
    const source = sources.get(socket)
    const others = source === undefined ? undefined : bySource.get(source)
    others?.delete(socket)
    if (source !== undefined && others?.size === 0) bySource.delete(source)
  }

  function close(socket: Socket | undefined): void {
    if (!socket) return
    forget(socket)
    socket.destroy()
  }

  // A backstop for the case that all of them are known.
  server.maxConnections = most
  server.on('connection', (socket: Socket) => {
    open++
    socket.once('close', () => {
      open--
      forget(socket)
    })
    const address = socket.remoteAddress ?? ''
    if (!isProxy(address)) {
      const source = sourceOf(address)
      const others = bySource.get(source) ?? new Set()
      if (others.size >= mostOfAnAddress) close(first(others))
      // The set may have been dropped with its last one.
      bySource.set(source, others.add(socket))
      sources.set(socket, source)
    }
    // One place stays free for the next.
    if (open >= most) close(first(strangers))
    strangers.add(socket)
  })
  return { has: (socket) => strangers.has(socket), welcome: forget }
}

function first<T>(items: Iterable<T>): T | undefined {
  for (const item of items) return item
  return undefined
}
