import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** A Sluice process of its own, killed at the latest when disposed. */
export type Running = AsyncDisposable & {
  pid: number
  /** What it has printed so far. */
  output(): string
  /** Resolves with the match as soon as its output has it; rejects when it ends before. */
  printed(pattern: RegExp): Promise<RegExpExecArray>
  kill(signal: NodeJS.Signals): void
  /** Resolves with the exit code, or the name of the signal that ended it. */
  exited: Promise<number | string>
}

/** Runs a file of this repository on this Node, with nothing in its environment but PATH and what is given. */
export function run(file: string, args: readonly string[], env: Record<string, string>, cwd = ROOT): Running {
  const path = process.env.PATH ?? ''
  const child = spawn(process.execPath, [`${ROOT}/${file}`, ...args], {
    cwd,
    env: { PATH: path, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return watch(child)
}

export const runIngest = (env: Record<string, string>) => run('apps/ingest/src/main.ts', [], env)
export const runWorker = (env: Record<string, string>) => run('apps/worker/src/main.ts', [], env)
export const runScheduler = (env: Record<string, string>) => run('apps/scheduler/src/main.ts', [], env)

/** The address that an ingest has printed. */
export async function addressOf(ingest: Running): Promise<string> {
  const [, port] = await ingest.printed(/"port":(\d+)[^\n]*"ingest listens"/)
  return `http://127.0.0.1:${port}`
}

function watch(child: ChildProcess): Running {
  let output = ''
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  child.stderr?.on('data', (chunk) => {
    output += chunk
  })
  const exited = once(child, 'close').then(([code, signal]): number | string => code ?? signal)
  return {
    pid: child.pid as number,
    output: () => output,
    exited,
    kill: (signal) => void child.kill(signal),
    async printed(pattern) {
      for (;;) {
        const match = pattern.exec(output)
        if (match) return match
        const more = once(child.stdout as NodeJS.ReadableStream, 'data').then(() => true)
        const other = once(child.stderr as NodeJS.ReadableStream, 'data').then(() => true)
        const goesOn = await Promise.race([more, other, exited.then(() => false)])
        if (!goesOn && !pattern.test(output)) throw new Error(`ended without printing ${pattern}:\n${output}`)
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
