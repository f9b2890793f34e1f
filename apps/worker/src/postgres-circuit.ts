import { classifyFailure, isWithoutPartition } from '@sluice/shared/db'
import {
  backoffMs,
  type Circuit,
  createCircuit,
  describeError,
  errorCode,
  type Log,
} from '@sluice/shared/runtime'

const JOB_DELAY = { baseMs: 1_000, maxMs: 5_000 }
const PROBE_DELAY = { baseMs: 500, maxMs: 10_000 }
const REPORT_AFTER = 10

/** A code of Postgres that is about what was asked, not about the connection or the server. */
const REFUSAL = /^(?!08|53|57|58)(?:\d[0-9A-Z]|P0|XX)[0-9A-Z]{3}$/

/** The circuit of Postgres. While it is open no event is taken, so that nothing is tried in vain. */
export type PostgresCircuit = Omit<Circuit, 'allows' | 'failed'> & {
  /**
   * Reports a batch of which nothing has landed, through no fault of its events.
   *
   * @returns how long the events should wait, ms: it grows with the failures in a row, with jitter
   */
  failed(error: unknown): number
  /** Why Postgres refuses the probe event while it is open, in words. */
  readonly refusal: string | undefined
}

/**
 * Opens after 3 batches in a row of which nothing lands. If the error is none of the server's, it may be that of some
 * events while others would land: then it opens only if the probe fails as well.
 */
export function createPostgresCircuit(deps: {
  /** Rejects while Postgres cannot be used, or nothing lands there. */
  probe(): Promise<unknown>
  onOpen(): void
  onClose(): void
  log: Log
}): PostgresCircuit {
  const { log } = deps
  let refusal: string | undefined
  async function probe(): Promise<void> {
    try {
      await deps.probe()
      refusal = undefined
    } catch (error) {
      refusal = REFUSAL.test(errorCode(error) ?? '') ? describeError(error).message : undefined
      throw error
    }
  }
  const circuit = createCircuit({
    maxFailures: 3,
    openMs(trials) {
      if (trials > 0 && trials % REPORT_AFTER === 0) log.warn('Postgres still cannot be used')
      return backoffMs(trials, PROBE_DELAY)
    },
    probe,
    isDoubtful: (error) => classifyFailure(error) !== 'infrastructure',
    onOpen(error) {
      const problem = isWithoutPartition(error)
        ? 'events has no partition for now: run `npx sluice retention partitions`'
        : 'Postgres cannot be used'
      log.warn({ error: describeError(error) }, `${problem}; events wait`)
      deps.onOpen()
    },
    onClose() {
      log.info('Postgres can be used again; taking events')
      deps.onClose()
    },
  })
  const { trip, whenClosed, succeeded } = circuit
  return {
    get state() {
      return circuit.state
    },
    get refusal() {
      return circuit.state === 'closed' ? undefined : refusal
    },
    whenClosed,
    succeeded,
    failed: (error) => backoffMs(circuit.failed(error), JOB_DELAY),
    trip,
    [Symbol.asyncDispose]: () => circuit[Symbol.asyncDispose](),
  }
}
