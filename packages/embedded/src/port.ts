import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '@sluice/shared/runtime'

const FIRST = 15_000
const LAST = 32_000
const TRIES = 100
// A process that was killed keeps its port until the system has removed it.
const PREFERRED_MS = 2_000
const POLL_MS = 50

/**
 * A free port of 127.0.0.1: the preferred one, else a random one below those that systems give to outgoing connections.
 * An outgoing connection could take such a port between two starts. A client that keeps trying to reach a stopped
 * server there may even connect to itself. The package get-port starts each search at the same port and does not wait.
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await becomesFree(preferred))) return preferred
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(FIRST, LAST)
    if (await isFree(port)) return port
  }
  throw new UserError(`No port from ${FIRST} to ${LAST} of 127.0.0.1 is free.`)
}

async function becomesFree(port: number): Promise<boolean> {
  for (const limit = Date.now() + PREFERRED_MS; Date.now() < limit; await delay(POLL_MS)) {
    if (await isFree(port)) return true
  }
  return false
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return true
  } catch {
    return false
  }
}
