import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'

export type Kept = {
  /** Resolves to the exit code, 128 + n after signal n. Never rejects. */
  exited: Promise<number>
  /** Sends the stop signal, and SIGKILL after `limitMs` ms. Resolves when the server has ended. Never rejects. */
  stop(limitMs: number): Promise<void>
}

export type KeepOptions = {
  command: string
  args: string[]
  stopSignal: 'SIGINT' | 'SIGTERM'
  /** The output of the server is appended to it. Mode 0600. */
  logFile: string
  cwd: string
  env?: Record<string, string>
  uid?: number
  gid?: number
}

// The server replaces the shell and keeps its pid, so signals reach it directly. The watcher reads from our pipe until
// it ends, because this process or the server has ended. It is forked twice so that it is no child of the server:
// Postgres restarts everything when a child that it does not know crashes.
const SCRIPT = `
signal=$1; shift
( ( read -r _; kill -s "$signal" $$ 2>/dev/null ) <&3 & ) 3<&0
exec "$@" </dev/null`

/**
 * Runs the server of a store in a new session, so that Ctrl-C in a terminal does not stop it before Sluice has drained.
 * The server stops when this process ends, also by kill -9.
 */
export function keep(options: KeepOptions): Kept {
  const { command, args, stopSignal, logFile, cwd, env, uid, gid } = options
  const log = openSync(logFile, 'a', 0o600)
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', stopSignal.slice(3), command, ...args], {
    stdio: ['pipe', log, log],
    detached: true,
    cwd,
    // Not the environment of Sluice: it has credentials, and variables such as PGDATA would change Postgres.
    env: { PATH: process.env.PATH, LC_ALL: 'C', ...env },
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  })
  closeSync(log)
  const exited = exitCode(child)

  return {
    exited,
    async stop(limitMs) {
      child.kill(stopSignal)
      const limit = setTimeout(() => killGroup(child), limitMs)
      await exited
      clearTimeout(limit)
    },
  }
}

async function exitCode(child: ChildProcess): Promise<number> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return code ?? 128 + (signal ? constants.signals[signal] : 0)
  } catch {
    return 127 // the shell itself could not be started
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    process.kill(-child.pid, 'SIGKILL')
  }
}
