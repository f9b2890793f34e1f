import { classifyFailure, type Db, type Job, probeLanding, type Twin, twinOf } from '@sluice/shared/db'
import { backoffMs, describeError, errorCode, type Log } from '@sluice/shared/runtime'
import { NotTried } from './bisect.ts'
import { type Verdict, verdictOf } from './verdict.ts'

/** One comparison stands for all that fail alike within this span. */
const SAME_MS = 1_000
const HELD_DELAY = { baseMs: 1_000, maxMs: 5_000 }
/** Shapes and comparisons that are remembered; the oldest ones are forgotten. */
const MAX_KNOWN = 200

type Failed = { readonly error: unknown }
type Compared = {
  readonly at: number
  readonly failure: Promise<Failed | undefined>
  next?: Promise<Failed | undefined>
}
/** Events of one shape that fail whatever they carry, until a made-up one of them lands. */
type Held = { readonly twin: Twin; readonly error: unknown; tries: number; nextAt: number }

/**
 * Decides about events that fail alone, by comparison with made-up ones (`probeLanding`), and holds back those whose shape
 * fails as such, so that they do not spoil the batches of others again and again.
 */
export type Judge = {
  /** Never rejects. */
  judge(error: unknown, delivery: Job, isLastAttempt: boolean): Promise<Verdict>
  /** Likewise, by a comparison that begins now. */
  judgeAnew(error: unknown, delivery: Job, isLastAttempt: boolean): Promise<Verdict>
  /** Some shape is held back. */
  readonly isHolding: boolean
  /** Of these, the ones that are held back, with the reason. */
  heldBack(deliveries: readonly Job[]): Promise<Map<Job, { ms: number; error: unknown }>>
}

export function createJudge({ db, log }: { db: Db; log: Log }): Judge {
  const compared = new Map<string, Compared>()
  const held = new Map<string, Held>()

  function failureOf(twin: Twin): Promise<Failed | undefined> {
    return probeLanding(db, twin, { announced: true, again: true }).then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
  }

  /** How a made-up event fails, tried since `after`, in the name of all that fail alike. */
  function compare(error: unknown, twin: Twin, after: number): Promise<Failed | undefined> {
    const { constraint = '' } = error as { constraint?: string }
    const key = `${errorCode(error)} ${constraint} ${twin.shape}`
    function start() {
      const one = { at: performance.now(), failure: failureOf(twin) }
      compared.delete(key)
      remember(compared, key, one)
      return one.failure
    }
    const known = compared.get(key)
    if (!known) return start()
    if (known.at >= after) return known.failure
    known.next ??= known.failure.then(start)
    return known.next
  }

  function holdBack(error: unknown, twin: Twin): void {
    if (held.has(twin.shape)) return
    const nextAt = performance.now() + backoffMs(0, HELD_DELAY)
    remember(held, twin.shape, { twin, error, tries: 1, nextAt })
    log.warn({ error: describeError(error) }, 'Postgres refuses every event of this kind; they wait')
  }

  async function stillHeld(one: Held): Promise<number | undefined> {
    const left = one.nextAt - performance.now()
    if (left > 0) return left
    // Others that ask meanwhile are put off.
    one.nextAt = performance.now() + backoffMs(one.tries++, HELD_DELAY)
    if (await failureOf(one.twin)) return one.nextAt - performance.now()
    held.delete(one.twin.shape)
    compared.clear()
    log.info('Postgres takes events of this kind again')
    return undefined
  }

  async function judge(error: unknown, delivery: Job, isLastAttempt: boolean, after: number) {
    const failure = classifyFailure(error)
    if (error instanceof NotTried || failure === 'infrastructure') return { kind: 'wait' as const }
    const twin = twinOf(delivery)
    const failed = await compare(error, twin, after)
    // One that fails otherwise tells of this moment, not of the shape.
    if (failed && errorCode(failed.error) === errorCode(error)) holdBack(error, twin)
    return verdictOf(failure, isLastAttempt, failed ? 'fails' : 'lands')
  }

  return {
    judge: (error, delivery, isLast) => judge(error, delivery, isLast, performance.now() - SAME_MS),
    judgeAnew: (error, delivery, isLast) => judge(error, delivery, isLast, performance.now()),

    get isHolding() {
      return held.size > 0
    },

    async heldBack(deliveries) {
      const waiting = new Map<Job, { ms: number; error: unknown }>()
      if (held.size === 0) return waiting
      for (const delivery of deliveries) {
        const one = held.get(twinOf(delivery).shape)
        const ms = one && (await stillHeld(one))
        // Spread, so that they do not all come back at once.
        if (ms !== undefined) waiting.set(delivery, { ms: ms * (1 + Math.random() / 2), error: one?.error })
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
