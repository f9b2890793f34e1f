import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { freePort } from '@sluice/embedded'

/** The wire between the nodes of a Redis Cluster, which can be cut for one node while its clients still reach it. */
export type ClusterBus = AsyncDisposable & {
  /** Where the others find the bus of the node that listens on this port. */
  open(nodePort: number): Promise<number>
  /** Nothing passes to or from this node any more. */
  cut(nodePort: number, nodeId: string): void
  restore(): void
}

/** "Redis Cluster specification": a node's bus has this port, unless it announces another one. */
const BUS_OFFSET = 10_000
/** Where the header of each message has the id of its sender (redis, cluster.h: clusterMsg). */
const SENDER_AT = 40
const ID_LENGTH = 40

type Link = { nodePort: number; sender: string | undefined; sockets: [Socket, Socket] }

export function createClusterBus(): ClusterBus {
  const stack = new AsyncDisposableStack()
  const links = new Set<Link>()
  let isolated: { nodePort: number; nodeId: string } | undefined
  const isCut = ({ nodePort, sender }: Link) =>
    isolated !== undefined && (nodePort === isolated.nodePort || sender === isolated.nodeId)

  function end(link: Link): void {
    links.delete(link)
    for (const socket of link.sockets) socket.destroy()
  }

  function join(nodePort: number, from: Socket): void {
    const to = connect(nodePort + BUS_OFFSET, '127.0.0.1')
    const link: Link = { nodePort, sender: undefined, sockets: [from, to] }
    links.add(link)
    for (const socket of link.sockets) socket.on('error', () => {}).on('close', () => end(link))
    from.on('data', (chunk: Buffer) => {
      // Each link is one node's, which names itself in its first message.
      link.sender ??= chunk.toString('latin1', SENDER_AT, SENDER_AT + ID_LENGTH)
      if (isCut(link)) end(link)
      else to.write(chunk)
    })
    to.on('data', (chunk: Buffer) => {
      if (isCut(link)) end(link)
      else from.write(chunk)
    })
  }

  return {
    async open(nodePort) {
      const port = await freePort()
      const server = createServer((socket) => join(nodePort, socket)).listen(port, '127.0.0.1')
      await once(server, 'listening')
      stack.defer(() => void server.close())
      return port
    },
    cut(nodePort, nodeId) {
      isolated = { nodePort, nodeId }
      for (const link of links) if (isCut(link)) end(link)
    },
    restore() {
      isolated = undefined
    },
    async [Symbol.asyncDispose]() {
      for (const link of links) end(link)
      await stack.disposeAsync()
    },
  }
}
