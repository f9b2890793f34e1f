import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { sourceOf } from '@sluice/shared/runtime'

/** Limits the connections that have not presented right credentials yet. */
export type ConnectionLimit = {
  isAuthenticated(socket: Socket): boolean
  /** The connection has presented right credentials: it is not closed for another one any more. */
  setAuthenticated(socket: Socket): void
}

/**
 * Keeps room for new connections. If the server is full, or one address has too many unauthenticated connections, the
 * oldest of these is closed. So nobody can keep IDWise out by holding connections open: those of IDWise are
 * authenticated by their first request. An authenticated connection costs nothing here.
 *
 * @param limits.isProxy many senders share the address of a proxy, so it has no limit for itself
 */
export function limitConnections(
  server: Server,
  limits: { most: number; mostOfAnAddress: number; isProxy(address: string): boolean },
): ConnectionLimit {
  const { most, mostOfAnAddress, isProxy } = limits
  // Both sets are in the order of the connections.
  const unauthenticated = new Set<Socket>()
  const bySource = new Map<string, Set<Socket>>()
  const sources = new WeakMap<Socket, string>()
  let open = 0

  function forget(socket: Socket): void {
    if (!unauthenticated.delete(socket)) return
    const source = sources.get(socket)
    const others = source === undefined ? undefined : bySource.get(source)
    others?.delete(socket)
    if (source !== undefined && others?.size === 0) bySource.delete(source)
  }

  function closeOldest(sockets: Set<Socket>): void {
    const [socket] = sockets
    if (!socket) return
    forget(socket)
    socket.destroy()
  }

  // For the case that all connections are authenticated.
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
      if (others.size >= mostOfAnAddress) closeOldest(others)
      // Set again, since an empty set is dropped.
      bySource.set(source, others.add(socket))
      sources.set(socket, source)
    }
    // One place stays free for the next connection.
    if (open >= most) closeOldest(unauthenticated)
    unauthenticated.add(socket)
  })
  return { isAuthenticated: (socket) => !unauthenticated.has(socket), setAuthenticated: forget }
}
