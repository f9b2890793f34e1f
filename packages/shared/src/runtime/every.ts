import { setTimeout } from 'node:timers/promises'

/** Waits. An abort ends the wait early, without an error. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, signal && { signal }).catch(() => {})
}

const JITTER = 0.2

/**
 * Runs rounds one after another until it is stopped: by disposal, which waits for the round under way, or by
 * `signal`, which a round may abort as well. A round must not await the disposal: it would wait for itself.
 *
 * @param ms from the end of a round to the start of the next one, give or take 20 %, so that processes which were
 *   started together do not stay in step. A function is asked after each round, and its answer is used as it is.
 * @param round is given a signal that is aborted when the loop stops
 * @param options.onError is called with everything that a round throws; the next round follows all the same
 * @param options.pauseFirst waits before the first round, which starts at once otherwise
 */
export function every(
  ms: number | (() => number),
  round: (stop: AbortSignal) => unknown,
  options: { onError(error: unknown): void; pauseFirst?: boolean; signal?: AbortSignal },
): AsyncDisposable {
  const { onError, pauseFirst = false, signal } = options
  const disposal = new AbortController()
  const stop = signal ? AbortSignal.any([signal, disposal.signal]) : disposal.signal
  const waitMs = typeof ms === 'number' ? () => ms * (1 - JITTER + Math.random() * 2 * JITTER) : ms

  async function run(): Promise<void> {
    if (pauseFirst) await pause(waitMs(), stop)
    while (!stop.aborted) {
      try {
        await round(stop)
      } catch (error) {
        onError(error)
      }
      await pause(waitMs(), stop)
    }
  }
  const running = run()
  return {
    async [Symbol.asyncDispose]() {
      disposal.abort()
      await running
    },
  }
}
