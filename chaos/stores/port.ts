import { once } from 'node:events'
import { createServer } from 'node:net'

const FIRST = 20_000
const LAST = 31_999

/**
 * A free port below those that the system gives to outgoing connections: a client that tries again and again to reach
 * a stopped server on such a port may connect to itself, and hold the port.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    const server = createServer()
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      server.close()
      await once(server, 'close')
      return port
    } catch {
      // Taken; try another.
    }
  }
}
