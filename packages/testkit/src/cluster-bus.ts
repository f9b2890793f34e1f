import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { freePort } from '@sluice/embedded'

/** The line between the nodes of a Redis Cluster. It can be cut for one node while clients still reach that node. */
export type ClusterBus = AsyncDisposable & {
  /** The port by which the other nodes reach the bus of the node that listens on `nodePort`. */
  open(nodePort: number): Promise<number>
  /** From now on nothing passes to or from this node. */
  cut(nodePort: number, nodeId: string): void
  restore(): void
}

/** "Redis Cluster specification": a node's bus has this port, unless it announces another one. */
const BUS_OFFSET = 10_000
/** The place of the sender's id in the header of each message (redis, cluster.h: clusterMsg). */
const SENDER_AT = 40
const ID_LENGTH = 40

type Link = { nodePort: number; sender: string | undefined; sockets: [Socket, Socket] }

export function createClusterBus(): ClusterBus {
  const stack = new AsyncDisposableStack()
  const links = new Set<Link>()
  let cutNode: { nodePort: number; nodeId: string } | undefined
  const isCut = ({ nodePort, sender }: Link) =>
    cutNode !== undefined && (nodePort === cutNode.nodePort || sender === cutNode.nodeId)

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
      // Each link belongs to one node, whose first message contains its id.
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
      cutNode = { nodePort, nodeId }
      for (const link of links) if (isCut(link)) end(link)
    },
    restore() {
      cutNode = undefined
    },
    async [Symbol.asyncDispose]() {
      for (const link of links) end(link)
      await stack.disposeAsync()
    },
  }
}
