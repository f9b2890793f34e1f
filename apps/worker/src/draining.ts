import { classifyFailure, listenInbox } from '@sluice/shared/db'
import { describeError, type Log, pause } from '@sluice/shared/runtime'
import type { Gate } from './gate.ts'
import { createWakeUp } from './wake-up.ts'

const POLL_MS = 1_000
const ROUNDS = 4
const TELL_EVERY_MS = 60_000

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
  const bell = createWakeUp()
  const told = new Map<string, number>()
  const listener = listenInbox(databaseUrl, () => bell.ring(), deps.log)
  const rounds = Array.from({ length: ROUNDS }, (_, number) => round(number))

  /** Each cause once in a while: it comes back with every look. */
  function tell(level: 'debug' | 'error', error: unknown): void {
    const described = describeError(error)
    const cause = described.code ?? described.message
    if (performance.now() < (told.get(cause) ?? 0)) return
    told.clear()
    told.set(cause, performance.now() + TELL_EVERY_MS)
    deps.log[level]({ error: described }, 'draining the inbox failed')
  }

  async function round(number: number): Promise<void> {
    while (!stop.signal.aborted) {
      await deps.gate.open(stop.signal)
      if (stop.signal.aborted) return
      try {
        const { more } = await deps.drain(number)
        // One round is enough for a few events; while there are more, each brings another one.
        if (more) bell.ring()
        else if (!stop.signal.aborted) await bell.wait(POLL_MS)
      } catch (error) {
        const isAway = classifyFailure(error) === 'infrastructure'
        tell(isAway ? 'debug' : 'error', error)
        await pause(deps.gate.failed(error), stop.signal)
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
