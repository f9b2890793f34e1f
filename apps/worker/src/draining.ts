import { classifyFailure, listenInbox } from '@sluice/shared/db'
import { describeError, every, type Log, pause } from '@sluice/shared/runtime'
import type { PostgresCircuit } from './postgres-circuit.ts'
import { createWakeUp } from './wake-up.ts'

const POLL_MS = 1_000
const LOOPS = 4
const REPORT_EVERY_MS = 60_000

/**
 * Drains the inbox after each notification, and every second in case one was lost. Four loops at once keep both this
 * process and Postgres busy.
 *
 * @param deps.drain lands one batch; `more` asks for another call at once
 */
export function startDraining(
  databaseUrl: string,
  deps: { drain(loop: number): Promise<{ more: boolean }>; circuit: PostgresCircuit; log: Log },
): AsyncDisposable {
  const stop = new AbortController()
  const { wake, wait } = createWakeUp()
  const report = createErrorReport(deps.log)
  const listener = listenInbox(databaseUrl, wake, deps.log)
  const poll = every(POLL_MS, wake, { pauseFirst: true, onError: report })
  const loops = Array.from({ length: LOOPS }, (_, number) => loop(number))

  async function loop(number: number): Promise<void> {
    while (!stop.signal.aborted) {
      await deps.circuit.whenClosed(stop.signal)
      if (stop.signal.aborted) return
      try {
        const { more } = await deps.drain(number)
        // One loop is enough for a few events; while there are more, each loop wakes another one.
        if (more) wake()
        else if (!stop.signal.aborted) await wait()
      } catch (error) {
        report(error)
        await pause(deps.circuit.failed(error), stop.signal)
      }
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      for (const _ of loops) wake()
      await Promise.all([...loops, poll[Symbol.asyncDispose](), listener[Symbol.asyncDispose]()])
    },
  }
}

/** Logs a cause once a minute: it comes back with each call. */
function createErrorReport(log: Log): (error: unknown) => void {
  let last = { cause: '', at: Number.NEGATIVE_INFINITY }
  return (error) => {
    const described = describeError(error)
    const cause = described.code ?? described.message
    if (cause === last.cause && performance.now() < last.at + REPORT_EVERY_MS) return
    last = { cause, at: performance.now() }
    const level = classifyFailure(error) === 'infrastructure' ? 'debug' : 'error'
    log[level]({ error: described }, 'draining the inbox failed')
  }
}
