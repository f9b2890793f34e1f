import { setTimeout as pause } from 'node:timers/promises'
import { PROGRAMS, type Running, run, SERVES } from './process.ts'

export type Role = 'ingest' | 'worker'

/** One place of the fleet: a process, and the next one when it has ended. */
export type Member = {
  readonly role: Role
  readonly running: Running
  /** The port of an ingest; undefined until it listens. */
  readonly port: number | undefined
  /** Resolves once the present process serves. */
  up(): Promise<void>
  /** Ends the present process, and resolves to its exit code or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | string>
  /** Ends the present process. The next one kills itself at this failpoint. @returns whether it did within 40 s */
  arm(failpoint: string): Promise<boolean>
}

export type Fleet = AsyncDisposable & {
  readonly members: readonly Member[]
  ingests(): Member[]
  workers(): Member[]
  /** How many processes were started in the place of one that had ended. */
  readonly restarts: number
  /** The processes that ended without being asked to, with their last lines. */
  readonly crashes: readonly string[]
  /** How many lines of all outputs match. */
  logged(pattern: RegExp): number
}

const RESTART_MS = 200
const ARMED_MS = 40_000

/** Keeps the processes running, as a container platform does: when one ends, it starts the next. */
export function startFleet(
  roles: readonly Role[],
  env: Record<string, string>,
  files: Partial<Record<Role, string>> = {},
): Fleet {
  const crashes: string[] = []
  const outputs: string[] = []
  let restarts = 0
  let closing = false
  const slots = roles.map((role) => createMember(role))

  function createMember(role: Role): Member {
    let wanted: Running | undefined
    let next = {}
    let port: number | undefined
    let running = launch()

    function launch(): Running {
      const child = run(files[role] ?? PROGRAMS[role], [], { ...env, ...next })
      const armed = 'SLUICE_FAILPOINT' in next
      next = {}
      port = undefined
      child.printed(SERVES[role]).then(
        ([, printed]) => {
          if (child === running && role === 'ingest') port = Number(printed)
        },
        () => {},
      )
      void child.exited.then(async (how) => {
        port = undefined
        if (closing) return
        if (child !== wanted && !(armed && how === 'SIGKILL')) {
          crashes.push(
            `${role} ended with ${how}: ${child.output().trim().split('\n').slice(-3).join(' | ')}`,
          )
        }
        await pause(RESTART_MS)
        if (closing) return
        restarts++
        outputs.push(child.output())
        running = launch()
      })
      return child
    }

    async function end(signal: NodeJS.Signals): Promise<number | string> {
      const child = running
      wanted = child
      child.kill(signal)
      const how = await child.exited
      while (running === child && !closing) await pause(20)
      return how
    }
    const up = async () => void (await running.printed(SERVES[role]))
    return {
      role,
      get running() {
        return running
      },
      get port() {
        return port
      },
      up,
      end,
      async arm(failpoint) {
        next = { SLUICE_FAILPOINT: failpoint }
        await end('SIGKILL')
        const armed = running.exited.then((how) => how === 'SIGKILL')
        return Promise.race([armed, pause(ARMED_MS, false, { ref: false })])
      },
    }
  }

  return {
    members: slots,
    ingests: () => slots.filter(({ role }) => role === 'ingest'),
    workers: () => slots.filter(({ role }) => role === 'worker'),
    get restarts() {
      return restarts
    },
    crashes,
    logged(pattern) {
      const all = [...outputs, ...slots.map(({ running }) => running.output())]
      return all.reduce((sum, text) => sum + text.split('\n').filter((line) => pattern.test(line)).length, 0)
    },
    async [Symbol.asyncDispose]() {
      closing = true
      await Promise.all(slots.map(({ running }) => running[Symbol.asyncDispose]()))
    },
  }
}
