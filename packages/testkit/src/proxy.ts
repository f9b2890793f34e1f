import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '@sluice/embedded'

/** What happens to the bytes that pass. */
export type Mode =
  | { kind: 'pass' }
  /** Nothing listens. */
  | { kind: 'refuse' }
  /** Connections are accepted and reset. */
  | { kind: 'reset' }
  /** Connections are accepted, and nothing ever arrives. */
  | { kind: 'black-hole' }
  | { kind: 'latency'; ms: number; jitterMs: number }
  | { kind: 'bandwidth'; bytesPerSecond: number }
  /** The first bytes of each chunk travel in segments of one byte. */
  | { kind: 'slice'; bytes: number }
  | { kind: 'close-after'; bytes: number }
  /** Requests are delivered, their replies are lost: the client cannot know what happened. */
  | { kind: 'drop-replies' }

export type TcpProxy = AsyncDisposable & {
  readonly port: number
  /** Also affects open connections. Those that have lost bytes are cut when the next mode is set. */
  set(mode: Mode): Promise<void>
  /** Ends every open connection. */
  cut(): void
  /** How many chunks it has dropped, and how many segments of one byte it has sent. */
  readonly dropped: number
  readonly sliced: number
}

type Link = { client: Socket; upstream: Socket; bytes: number; lost: boolean }

/** A proxy between clients and a server of this machine. @param target returns the port for each new connection */
export async function startProxy(target: () => number | undefined): Promise<TcpProxy> {
  const port = await freePort()
  const links = new Set<Link>()
  let mode: Mode = { kind: 'pass' }
  let dropped = 0
  let slices = 0
  const server = createServer({ noDelay: true }, (client) => {
    client.on('error', () => {})
    const to = target()
    if (to === undefined || mode.kind === 'reset') return void client.resetAndDestroy()
    const upstream = connect({ port: to, host: '127.0.0.1', noDelay: true })
    const link: Link = { client, upstream, bytes: 0, lost: false }
    links.add(link)
    upstream.on('error', () => client.resetAndDestroy())
    for (const socket of [client, upstream]) socket.on('close', () => end(link))
    carry(link, client, upstream, 'request')
    carry(link, upstream, client, 'reply')
  })

  function carry(link: Link, from: Socket, to: Socket, direction: 'request' | 'reply'): void {
    let before: Promise<unknown> = Promise.resolve()
    from.on('data', (chunk) => {
      const due = Date.now() + (mode.kind === 'latency' ? mode.ms + Math.random() * mode.jitterMs : 0)
      before = before.then(() => forward(link, to, chunk, { direction, due }))
    })
    from.on('end', () => before.then(() => to.end()))
  }

  async function forward(
    link: Link,
    to: Socket,
    chunk: Buffer,
    { direction, due }: { direction: 'request' | 'reply'; due: number },
  ): Promise<void> {
    const now = mode
    if (due > Date.now()) await pause(due - Date.now())
    if (now.kind === 'bandwidth') await pause((chunk.length * 1000) / now.bytesPerSecond)
    if (now.kind === 'black-hole' || (now.kind === 'drop-replies' && direction === 'reply')) {
      link.lost = true
      dropped++
      return
    }
    link.bytes += chunk.length
    if (now.kind === 'close-after' && link.bytes > now.bytes) return end(link)
    const sliced = now.kind === 'slice' ? Math.min(now.bytes, chunk.length) : 0
    for (let i = 0; i < sliced; i++) if (to.writable) to.write(chunk.subarray(i, i + 1))
    if (to.writable) to.write(chunk.subarray(sliced))
    slices += sliced
  }

  function end(link: Link): void {
    links.delete(link)
    link.client.destroy()
    link.upstream.destroy()
  }
  function cut(): void {
    for (const link of links) end(link)
  }
  async function listen(): Promise<void> {
    if (server.listening) return
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen()

  return {
    port,
    cut,
    async set(next) {
      mode = next
      if (next.kind === 'refuse' || next.kind === 'reset') cut()
      for (const link of links) if (link.lost) end(link)
      if (next.kind === 'refuse') server.close()
      else await listen()
    },
    get dropped() {
      return dropped
    },
    get sliced() {
      return slices
    },
    async [Symbol.asyncDispose]() {
      cut()
      server.close()
    },
  }
}
