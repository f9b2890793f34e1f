import { classifyFailure, listenInbox } from '@sluice/shared/db'
import { describeError, type Log, pause } from '@sluice/shared/runtime'
import { createBell } from './bell.ts'
import type { Gate } from './gate.ts'

const POLL_MS = 1_000
const ROUNDS = 4

/**
 * Drains the inbox whenever notified, and every second as a net. Four rounds at once keep both
 * this process and Postgres busy.
 *
 * @param deps.drain lands one batch; `more` asks to be called again at once
 */
export function startDraining(
  databaseUrl: string,
  deps: { drain(round: number): Promise<{ more: boolean }>; gate: Gate; log: Log },
): AsyncDisposable {
  const stop = new AbortController()
  const bell = createBell()
  const listener = listenInbox(databaseUrl, () => bell.ring(), deps.log)
  const rounds = Array.from({ length: ROUNDS }, (_, number) => round(number))

  async function round(number: number): Promise<void> {
    while (!stop.signal.aborted) {
      await deps.gate.open(stop.signal)
      if (stop.signal.aborted) return
      try {
        const { more } = await deps.drain(number)
        deps.gate.succeeded()
        // One round is enough for a few events; while there are more, each brings another one.
        if (more) bell.ring()
        else if (!stop.signal.aborted) await bell.wait(POLL_MS)
      } catch (error) {
        const isAway = classifyFailure(error) === 'infrastructure'
        deps.log[isAway ? 'debug' : 'error']({ error: describeError(error) }, 'draining the inbox failed')
        await pause(isAway ? deps.gate.failed(error) : POLL_MS, stop.signal)
      }
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      for (const _ of rounds) bell.ring()
      await Promise.all([...rounds, listener[Symbol.asyncDispose]()])
    },
  }
}
