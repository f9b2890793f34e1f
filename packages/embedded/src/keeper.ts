import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'

export type Kept = {
  /** Resolves to the exit code, 128 + n after signal n. Never rejects. */
  exited: Promise<number>
  /** Sends the stop signal and waits; after `limitMs` ms it kills. Never rejects. */
  stop(limitMs: number): Promise<void>
}

export type KeepOptions = {
  command: string
  args: string[]
  stopSignal: 'SIGINT' | 'SIGTERM'
  /** Gets what the server prints, appended. Mode 0600. */
  logFile: string
  cwd: string
  env?: Record<string, string>
  uid?: number
  gid?: number
}

// The server takes the shell's place (and its pid), so nothing stands between it and its signals. The watcher reads
// from our pipe until its end: we are gone, or the server is. It is forked twice, so that it is not the server's
// child: Postgres restarts everything when a child that it does not know crashes.
const SCRIPT = `
signal=$1; shift
( ( read -r _; kill -s "$signal" $$ 2>/dev/null ) <&3 & ) 3<&0
exec "$@" </dev/null`

/**
 * Runs a store's server in a session of its own, where a terminal's Ctrl-C does not reach it before Sluice has
 * drained, and stops it when this process ends in whatever way, kill -9 included.
 */
export function keep(options: KeepOptions): Kept {
  const { command, args, stopSignal, logFile, cwd, env, uid, gid } = options
  const log = openSync(logFile, 'a', 0o600)
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', stopSignal.slice(3), command, ...args], {
    stdio: ['pipe', log, log],
    detached: true,
    cwd,
    // Not ours: Sluice's environment holds credentials, and PG… variables would change what Postgres does.
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
