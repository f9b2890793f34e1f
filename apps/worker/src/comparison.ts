import {
  classifyFailure,
  type Db,
  type EventShape,
  isTooSlow,
  type Job,
  probeLanding,
  type RejectedKind,
  shapeOf,
} from '@sluice/shared/db'
import { type Disposition, dispositionOf } from '@sluice/shared/disposition'
import { backoffMs, describeError, errorCode, type Log, traceField } from '@sluice/shared/runtime'
import { NotTried } from './bisect.ts'

/** One probe event answers for all events that fail alike within this time. */
const SAME_MS = 1_000
/** Probe events that fail alike before all events of a shape are said to: one alone may be refused by chance. */
const TRIALS = 3
/** A shape that flips is told once within this time. */
const TOLD_MS = 60_000
const HELD_DELAY = { baseMs: 1_000, maxMs: 5_000 }
/** Shapes and probes that are remembered; the oldest ones are forgotten. */
const MAX_KNOWN = 200

/** An event that failed alone. */
export type FailedJob = {
  readonly job: Job
  readonly error: unknown
  /** Tries that failed, this one included. */
  readonly attempts: number
}

type ProbeFailure = { readonly error: unknown }
type Probed = {
  readonly at: number
  readonly failure: Promise<ProbeFailure | undefined>
  next?: Promise<ProbeFailure | undefined>
}
/** A shape whose events all fail, until a probe event of it lands. `words`: the error of a probe event. */
type Held = {
  readonly shape: EventShape
  readonly error: unknown
  readonly words: string
  tries: number
  nextAt: number
  /** The log says so. */
  readonly isTold: boolean
}

/**
 * Compares events that fail alone with probe events of the same shape (`probeLanding`). If the probe event fails alike,
 * it holds back the whole shape, so that such events do not spoil one batch after another.
 */
export type Comparison = {
  /** Never rejects. */
  dispositionOf(failed: FailedJob): Promise<Disposition>
  /** Never rejects, and tries a new probe event. */
  dispositionAnew(failed: FailedJob): Promise<Disposition>
  /** Some shape is held back. */
  readonly isHolding: boolean
  /** The kinds of events that are held back, with the error of a made-up event. */
  rejected(): RejectedKind[]
  /** Those of the jobs that are held back: for how long, and why. */
  heldBack(jobs: readonly Job[]): Promise<Map<Job, { ms: number; error: unknown }>>
}

export function createComparison({ db, log }: { db: Db; log: Log }): Comparison {
  const probed = new Map<string, Probed>()
  const held = new Map<string, Held>()
  /** When it was told last that a shape is held back. */
  const told = new Map<string, number>()

  async function disposition({ job, error, attempts }: FailedJob, probedAfter: number): Promise<Disposition> {
    if (error instanceof NotTried) return dispositionOf({ cause: 'not_tried' })
    const cause = classifyFailure(error)
    if (cause === 'infrastructure') return dispositionOf({ cause })
    const shape = shapeOf(job)
    const failure = await probe(error, shape, probedAfter)
    // A probe event that fails otherwise shows the state of this moment, not a fault of the shape.
    if (failure && errorCode(failure.error) === errorCode(error)) holdBack(error, shape, job, failure.error)
    return dispositionOf({ cause, attempts, probe: failure ? 'fails' : 'lands' })
  }

  /** How a probe event fails that was tried at `after` or later; one answers for all events that fail alike. */
  function probe(error: unknown, shape: EventShape, after: number): Promise<ProbeFailure | undefined> {
    const { constraint = '' } = error as { constraint?: string }
    const key = `${errorCode(error)} ${constraint} ${shape.key}`
    function start() {
      const one = { at: performance.now(), failure: failureOf(shape) }
      probed.delete(key)
      remember(probed, key, one)
      return one.failure
    }
    const known = probed.get(key)
    if (!known) return start()
    if (known.at >= after) return known.failure
    known.next ??= known.failure.then(start)
    return known.next
  }

  /** How probe events fail, if none of several lands and all fail alike; the first failure of another kind ends it. */
  async function failureOf(shape: EventShape): Promise<ProbeFailure | undefined> {
    let failure: ProbeFailure | undefined
    for (let trial = 0; trial < TRIALS; trial++) {
      const next = await probeLanding(db, shape, { announced: true, again: true, trial }).then(
        () => undefined,
        (error: unknown) => ({ error }),
      )
      if (!next || classifyFailure(next.error) === 'infrastructure' || isTooSlow(next.error)) return next
      if (failure && errorCode(failure.error) !== errorCode(next.error)) return next
      failure = next
    }
    return failure
  }

  function holdBack(error: unknown, shape: EventShape, { envelope }: Job, ofProbe: unknown): void {
    if (held.has(shape.key)) return
    const now = performance.now()
    const nextAt = now + backoffMs(0, HELD_DELAY)
    const isTold = now >= (told.get(shape.key) ?? Number.NEGATIVE_INFINITY) + TOLD_MS
    const words = describeError(ofProbe).message
    remember(held, shape.key, { shape, error, words, tries: 1, nextAt, isTold })
    if (!isTold) return
    told.delete(shape.key)
    remember(told, shape.key, now)
    const fields = { error: describeError(error), ...traceField(envelope.trace) }
    log.warn(fields, 'Postgres refuses every event of this kind; they wait')
  }

  /** @returns for how long the shape is still held back, ms; undefined if its events land again */
  async function stillHeld(one: Held): Promise<number | undefined> {
    const left = one.nextAt - performance.now()
    if (left > 0) return left
    // Moved on before the probe, so that one caller at a time probes.
    one.nextAt = performance.now() + backoffMs(one.tries++, HELD_DELAY)
    if (await failureOf(one.shape)) return one.nextAt - performance.now()
    held.delete(one.shape.key)
    probed.clear()
    if (one.isTold) log.info('Postgres takes events of this kind again')
    return undefined
  }

  return {
    dispositionOf: (failed) => disposition(failed, performance.now() - SAME_MS),
    dispositionAnew: (failed) => disposition(failed, performance.now()),

    get isHolding() {
      return held.size > 0
    },

    rejected: () => [...held.values()].map(({ shape, words }) => ({ event: shape.event, error: words })),

    async heldBack(jobs) {
      const waiting = new Map<Job, { ms: number; error: unknown }>()
      if (held.size === 0) return waiting
      for (const job of jobs) {
        const one = held.get(shapeOf(job).key)
        const ms = one && (await stillHeld(one))
        // Spread, so that they do not all come back at once.
        if (ms !== undefined) waiting.set(job, { ms: ms * (1 + Math.random() / 2), error: one?.error })
      }
      return waiting
    },
  }
}

function remember<T>(known: Map<string, T>, key: string, value: T): void {
  known.set(key, value)
  const [oldest] = known.keys()
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
}
