import { every } from './every.ts'

type CircuitState = 'closed' | 'open' | 'half-open'

/**
 * Keeps calls away from a store that fails, and finds out when the store works again.
 *
 * closed: calls are made. It opens when `maxFailures` of them fail within `withinMs` and none succeeds in between.
 * open: no call is made. It is half-open after `openMs`.
 * half-open: one trial at a time is made. It closes when `successesToClose` trials in a row succeed, and opens when one
 * fails.
 *
 * A trial is the next call that asks `allows`. If the policy has a `probe`, trials are runs of that alone; calls can
 * wait for their end with `whenClosed`.
 */
export type Circuit = {
  readonly state: CircuitState
  /** Whether a call may be made now. If that call is a trial, its result must be reported. */
  allows(): boolean
  /** Resolves when the circuit is closed, or with the abort. */
  whenClosed(stop: AbortSignal): Promise<void>
  /** Reports a call that succeeded. */
  succeeded(): void
  /**
   * Reports a call that failed, for so many events.
   *
   * @returns how many failures in a row this makes
   */
  failed(error: unknown, events?: number): number
  /** Opens a closed circuit at once. */
  trip(error: unknown): void
} & AsyncDisposable

export type CircuitPolicy = {
  maxFailures: number
  withinMs?: number
  /** How long the circuit stays open, by the number of trials before. */
  openMs(trials: number): number
  successesToClose?: number
  probe?(): Promise<unknown>
  /** Whether an error may be no failure of the store. Then the circuit opens only if the probe fails as well. */
  isDoubtful?(error: unknown): boolean
  onOpen(error: unknown): void
  onClose(): void
}

/** After this time the next call is a trial as well: the one before may never be reported. */
const TRIAL_LIMIT_MS = 1_000

export function createCircuit(policy: CircuitPolicy): Circuit {
  const { maxFailures, withinMs = Number.POSITIVE_INFINITY, successesToClose = 1, probe } = policy
  // The wall clock may be set back, and the circuit would stay open for as long.
  const now = () => performance.now()
  let state: CircuitState = 'closed'
  let failures: { readonly at: number; readonly events: number }[] = []
  let trials = 0
  let successes = 0
  let nextTrialAt = 0
  let isAsking = false
  let isDisposed = false
  let probing: AsyncDisposable | undefined
  let closed = new AbortController()

  function open(error: unknown): void {
    const wasClosed = state === 'closed'
    state = 'open'
    successes = 0
    nextTrialAt = now() + policy.openMs(trials++)
    if (!wasClosed) return
    policy.onOpen(error)
    closed = new AbortController()
    const waitMs = () => Math.max(0, nextTrialAt - now())
    if (probe) probing = every(waitMs, tryOut, { pauseFirst: true, signal: closed.signal, onError: open })
  }

  async function tryOut(stop: AbortSignal): Promise<void> {
    state = 'half-open'
    await probe?.()
    if (!stop.aborted) passed()
  }

  function passed(): void {
    state = 'half-open'
    // The next trial may be made at once: only one is made at a time.
    nextTrialAt = now()
    if (++successes < successesToClose) return
    state = 'closed'
    failures = []
    trials = 0
    closed.abort()
    policy.onClose()
  }

  function trip(error: unknown): void {
    if (state === 'closed' && !isDisposed) open(error)
  }

  async function ask(error: unknown): Promise<void> {
    if (isAsking) return
    isAsking = true
    try {
      await probe?.()
      failures = []
    } catch {
      trip(error)
    } finally {
      isAsking = false
    }
  }

  return {
    get state() {
      return state === 'open' && now() >= nextTrialAt ? 'half-open' : state
    },
    allows() {
      if (state === 'closed') return true
      if (probe || now() < nextTrialAt) return false
      state = 'half-open'
      nextTrialAt = now() + TRIAL_LIMIT_MS
      return true
    },
    async whenClosed(stop) {
      if (state === 'closed') return
      const end = AbortSignal.any([stop, closed.signal])
      if (!end.aborted) await new Promise((resolve) => end.addEventListener('abort', resolve, { once: true }))
    },
    succeeded() {
      if (state === 'closed') {
        if (failures.length > 0) failures = []
      } else if (!probe) passed()
    },
    failed(error, events = 1) {
      if (state !== 'closed' && !probe) {
        open(error)
        return events
      }
      failures = [...failures.filter(({ at }) => at > now() - withinMs), { at: now(), events }]
      const inARow = failures.reduce((sum, { events }) => sum + events, 0)
      if (state === 'closed' && inARow >= maxFailures) {
        if (policy.isDoubtful?.(error)) void ask(error)
        else trip(error)
      }
      return inARow
    },
    trip,
    async [Symbol.asyncDispose]() {
      isDisposed = true
      closed.abort()
      await probing?.[Symbol.asyncDispose]()
    },
  }
}
