import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { finished } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** The programs of Sluice. */
export const PROGRAMS = {
  ingest: 'apps/ingest/src/main.ts',
  worker: 'apps/worker/src/main.ts',
  scheduler: 'apps/scheduler/src/main.ts',
  console: 'apps/console/src/main.ts',
  cli: 'apps/cli/src/main.ts',
} as const

/** What an ingest and a worker print when they serve. */
export const SERVES = {
  ingest: /"port":(\d+)[^\n]*"ingest listens"/,
  worker: /worker takes events/,
} as const

/** A process that ends with this one, or when it is disposed (SIGKILL). */
export type Running = AsyncDisposable & {
  pid: number
  /** What it has printed so far. */
  output(): string
  /** Resolves to the match as soon as its output has one; rejects if it ends before. */
  printed(pattern: RegExp): Promise<RegExpExecArray>
  kill(signal: NodeJS.Signals): void
  /** Sends SIGTERM, and SIGKILL after `limitMs` ms. Resolves when it has ended. */
  stop(limitMs: number): Promise<void>
  /** Closes its channel to this process, which it must have asked for. */
  disconnect(): void
  /** Resolves to the exit code, or to the name of the signal that ended it. */
  exited: Promise<number | string>
}

export type RunOptions = {
  /** By default the root of the clone. */
  cwd?: string
  /** The process has a channel to this one, by which it notices our end. */
  channel?: boolean
}

/** So that Node.js does not compile the same files for each process. */
const { NODE_COMPILE_CACHE } = process.env
const COMPILED = NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}

const alive = new Set<ChildProcess>()

function killAll(): void {
  for (const child of alive) child.kill('SIGKILL')
}

/**
 * Runs a file on this Node.js. Its environment has `env`, PATH and the cache of compiled code, nothing else. A relative
 * path starts at the root.
 */
export function run(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { cwd = ROOT, channel = false }: RunOptions = {},
): Running {
  const child = spawn(process.execPath, [resolve(ROOT, file), ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', ...COMPILED, ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(channel ? (['ipc'] as const) : [])],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk
    })
  }
  const kill = (signal: NodeJS.Signals) => void child.kill(signal)
  if (alive.size === 0) process.once('exit', killAll)
  alive.add(child)
  // Not the event `close`, which never comes if we have closed the channel ourselves.
  const closed = [child.stdout, child.stderr].map((stream) => stream && finished(stream).catch(() => {}))
  const exited = once(child, 'exit').then(async ([code, signal]): Promise<number | string> => {
    await Promise.all(closed)
    alive.delete(child)
    if (alive.size === 0) process.off('exit', killAll)
    return code ?? signal
  })
  return {
    pid: child.pid as number,
    output: () => output,
    exited,
    kill,
    async printed(pattern) {
      for (;;) {
        const match = pattern.exec(output)
        if (match) return match
        const heard = new AbortController()
        const more = [child.stdout, child.stderr].map((stream) =>
          once(stream as NodeJS.ReadableStream, 'data', { signal: heard.signal }).then(
            () => true,
            () => false,
          ),
        )
        const goesOn = await Promise.race([...more, exited.then(() => false)])
        heard.abort()
        if (!goesOn && !pattern.test(output)) throw new Error(`ended without printing ${pattern}:\n${output}`)
      }
    },
    async stop(limitMs) {
      kill('SIGTERM')
      const timer = setTimeout(kill, limitMs, 'SIGKILL')
      await exited
      clearTimeout(timer)
    },
    disconnect: () => child.disconnect(),
    async [Symbol.asyncDispose]() {
      kill('SIGKILL')
      await exited
    },
  }
}

export const runIngest = (env: Record<string, string>) => run(PROGRAMS.ingest, [], env)
export const runWorker = (env: Record<string, string>) => run(PROGRAMS.worker, [], env)
export const runScheduler = (env: Record<string, string>) => run(PROGRAMS.scheduler, [], env)

/** Resolves to the address of an ingest when it listens. */
export async function addressOf(ingest: Running): Promise<string> {
  const [, port] = await ingest.printed(SERVES.ingest)
  return `http://127.0.0.1:${port}`
}
