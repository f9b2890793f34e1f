import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '@sluice/shared/runtime'

const LEAVING_MS = 5_000
const STOPPING_MS = 30_000
const POLL_MS = 100

/**
 * Makes sure that no server of an earlier start still uses the data: it waits for one that is stopping, and stops one
 * that goes on. Two servers on the same files would destroy them.
 *
 * @param belongs whether a process with these arguments is the server of this data; a system reuses pids
 * @returns the pid in the file if another process has it now
 * @throws UserError if the server does not stop
 */
export async function endOrphan(
  pidFile: string,
  belongs: (args: string) => boolean,
  stopSignal: NodeJS.Signals,
): Promise<number | undefined> {
  const pid = existsSync(pidFile) ? Number.parseInt(readFileSync(pidFile, 'utf8'), 10) : Number.NaN
  if (!(pid > 0)) return undefined
  const runs = () => belongs(argsOf(pid))
  if (!runs()) return pid
  if (await ends(runs, LEAVING_MS)) return undefined
  process.kill(pid, stopSignal)
  if (await ends(runs, STOPPING_MS)) return undefined
  throw new UserError(
    `A store of an earlier start (process ${pid}) does not stop. Stop it by hand, then start again.`,
  )
}

/** The command line of a process; empty if it has ended or is a zombie. */
function argsOf(pid: number): string {
  try {
    if (process.platform === 'linux')
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    return execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
  } catch {
    return ''
  }
}

async function ends(runs: () => boolean, limitMs: number): Promise<boolean> {
  for (const limit = Date.now() + limitMs; Date.now() < limit; await delay(POLL_MS)) {
    if (!runs()) return true
  }
  return false
}
