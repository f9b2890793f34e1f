import { classifyFailure } from '@sluice/shared/db'
import { backoffMs, describeError, type Log, pause } from '@sluice/shared/runtime'

/**
 * Stops taking work while Postgres cannot be used, so that nothing is tried in vain, and asks again with growing delay.
 *
 * open → shut: 3 batches in a row of which nothing lands, by the server's fault or while the probe fails as well.
 * shut → open: the probe succeeds.
 */
export type Gate = {
  /** Resolves when work may be taken, or with the abort. */
  open(stop: AbortSignal): Promise<void>
  succeeded(): void
  shut(error: unknown): void
  /**
   * Counts a batch of which nothing has landed, through no fault of its events.
   *
   * @returns how long they should wait, ms: growing with the failures, with jitter.
   */
  failed(error: unknown): number
  readonly isOpen: boolean
} & AsyncDisposable

const FAILURES_TO_SHUT = 3
const JOB_DELAY = { baseMs: 1_000, maxMs: 5_000 }
const PROBE_DELAY = { baseMs: 500, maxMs: 10_000 }

export function createGate(deps: {
  /** Rejects while Postgres cannot be used, or lets nothing land. */
  probe(): Promise<unknown>
  onShut(): void
  onOpen(): void
  log: Log
}): Gate {
  const stop = new AbortController()
  let failures = 0
  let looking = false
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

  /** What is no failure of the server may be one of some events, while others would land. */
  async function look(error: unknown): Promise<void> {
    if (looking || reopened) return
    looking = true
    const lands = await deps.probe().then(
      () => true,
      () => false,
    )
    looking = false
    if (lands) failures = 0
    else shut(error)
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
      failures++
      if (failures >= FAILURES_TO_SHUT) {
        if (classifyFailure(error) === 'infrastructure') shut(error)
        else void look(error)
      }
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
