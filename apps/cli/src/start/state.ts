import { once } from 'node:events'
import { chmod, mkdir, rm, stat } from 'node:fs/promises'
import { createConnection, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode, UserError } from '@sluice/shared/runtime'
import { whoIsThis } from '../who.ts'

export type State = AsyncDisposable & {
  /** Absolute path of `.sluice`, where a start keeps its secrets, data and logs. */
  dir: string
}

// Relative, since the path of a socket has at most 107 bytes (103 on macOS).
const LOCK = join('.sluice', 'lock')
const ANSWER_LIMIT_MS = 2_000
const TAKEOVER_MS = 100

/**
 * Makes `.sluice` under `root` ready and locks it against a second start, until disposed or this process is gone.
 * Changes the working directory to `root`.
 *
 * @throws UserError when another start runs here, or the directory cannot be written.
 */
export async function openState(root: string): Promise<State> {
  process.chdir(root)
  const dir = join(root, '.sluice')
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    // Others may at most pass through (to Postgres's data, which is its own user's when root starts it).
    await chmod(dir, (await stat(dir)).mode & 0o711)
    const server = await lock()
    return { dir, [Symbol.asyncDispose]: () => unlock(server) }
  } catch (error) {
    if (error instanceof UserError) throw error
    const user = whoIsThis()
    throw new UserError(
      `Sluice keeps its state in ${dir}, but ${user} cannot use it (${errorCode(error) ?? error}). ` +
        `Make it writable for ${user}, or start a clone that ${user} owns.`,
    )
  }
}

/**
 * Listening on the socket is the lock: the kernel lets go of it with the process. What a killed process leaves is a
 * file that nobody answers at.
 */
async function lock(): Promise<Server> {
  await refuseIfTaken()
  await rm(LOCK, { force: true })
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.end(`${process.pid}\n`)
  })
  server.listen(LOCK)
  await once(server, 'listening')
  server.unref()
  // Another start may have seen the same dead socket and replaced ours by its own since: the later one wins.
  await delay(TAKEOVER_MS)
  await refuseIfTaken()
  return server
}

async function refuseIfTaken(): Promise<void> {
  const owner = await askOwner()
  if (owner === undefined || owner === String(process.pid)) return
  const who = owner ? ` (process ${owner})` : ''
  throw new UserError(`Sluice is already running here${who}. Stop it first, or start a second clone.`)
}

/** The pid of the process that holds the lock, empty when it does not say, undefined when nobody holds it. */
async function askOwner(): Promise<string | undefined> {
  const socket = createConnection(LOCK)
  socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy())
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  try {
    await once(socket, 'close') // rejects on error
    return answer.trim()
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED', 'ENOTSOCK'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}

async function unlock(server: Server): Promise<void> {
  server.close() // removes the file too
  await once(server, 'close')
}
