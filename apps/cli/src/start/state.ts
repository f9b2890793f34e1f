import { once } from 'node:events'
import { chmod, mkdir, rm, stat } from 'node:fs/promises'
import { createConnection, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode, UserError } from '@sluice/shared/runtime'
import { whoIsThis } from '../who.ts'

export type State = AsyncDisposable & {
  /** The absolute path of `.sluice`, which has the secrets, data and logs of a start. */
  dir: string
}

// Relative, because the path of a socket has at most 107 bytes (103 on macOS).
const LOCK = join('.sluice', 'lock')
const ANSWER_LIMIT_MS = 2_000
const TAKEOVER_MS = 100

/**
 * Creates `.sluice` under `root` if needed, and locks it against a second start until it is disposed or this process
 * ends. Changes the working directory to `root`.
 *
 * @throws UserError if another start runs here, or the directory cannot be written
 */
export async function openState(root: string): Promise<State> {
  process.chdir(root)
  const dir = join(root, '.sluice')
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    // Other users may at most pass through: if root starts Postgres, its data belongs to another user.
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
 * The lock is a socket that the process listens on. The kernel releases it when the process ends; a killed process
 * leaves only a file on which nothing answers.
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
  // Another start may have found the same dead socket and replaced ours with its own since. The later one wins.
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

/** The pid of the process that holds the lock: empty if it does not answer, undefined if no process holds the lock. */
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
