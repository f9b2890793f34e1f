import { backoffMs, describeError, type Log, pause } from '@sluice/shared/runtime'

/**
 * Stops taking work while Postgres cannot be used, so that nothing is tried in vain, and asks again with growing delay.
 *
 * open → shut: 3 infrastructure failures without a success in between. shut → open: the probe succeeds.
 */
export type Gate = {
  /** Resolves when work may be taken, or with the abort. */
  open(stop: AbortSignal): Promise<void>
  succeeded(): void
  shut(error: unknown): void
  /**
   * Counts each failure once, however many events it was for.
   *
   * @returns how long the event should wait, ms: growing with the failures, with jitter.
   */
  failed(error: unknown): number
  readonly isOpen: boolean
} & AsyncDisposable

const FAILURES_TO_SHUT = 3
const JOB_DELAY = { baseMs: 1_000, maxMs: 15_000 }
const PROBE_DELAY = { baseMs: 500, maxMs: 10_000 }

export function createGate(deps: {
  /** Rejects while Postgres cannot be used. */
  probe(): Promise<unknown>
  onShut(): void
  onOpen(): void
  log: Log
}): Gate {
  const stop = new AbortController()
  let failures = 0
  let lastFailure: unknown
  let reopened: Promise<void> | undefined

  async function probeUntilOpen(): Promise<void> {
    for (let tries = 0; !stop.signal.aborted; tries++) {
      await pause(backoffMs(tries, PROBE_DELAY), stop.signal)
      const error = await deps.probe().then(
        () => undefined,
        (reason: unknown) => describeError(reason),
      )
      if (!error) break
      if (tries % 10 === 9) deps.log.warn({ error }, 'Postgres still cannot be used')
    }
    failures = 0
    reopened = undefined
    if (stop.signal.aborted) return
    deps.log.info('Postgres can be used again; taking events')
    deps.onOpen()
  }

  function shut(error: unknown): void {
    if (reopened || stop.signal.aborted) return
    deps.log.warn({ error: describeError(error) }, 'Postgres cannot be used; events wait')
    deps.onShut()
    reopened = probeUntilOpen()
  }

  return {
    shut,
    async open(signal) {
      if (!reopened) return
      const aborted = new Promise<void>((resolve) =>
        signal.addEventListener('abort', () => resolve(), { once: true }),
      )
      if (!signal.aborted) await Promise.race([reopened, aborted])
    },
    succeeded() {
      failures = 0
    },
    failed(error) {
      if (error !== lastFailure) failures++
      lastFailure = error
      if (failures >= FAILURES_TO_SHUT) shut(error)
      return backoffMs(failures, JOB_DELAY)
    },
    get isOpen() {
      return reopened === undefined
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await reopened
    },
  }
}
