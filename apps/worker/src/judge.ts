import { classifyFailure, type Db, type Delivery, probeLanding, type Twin, twinOf } from '@sluice/shared/db'
import { backoffMs, describeError, errorCode, type Log } from '@sluice/shared/runtime'
import { NotTried } from './isolate.ts'
import { type Comparison, type Verdict, verdictOf } from './verdict.ts'

/** One comparison stands for all that fail alike within this span. */
const SAME_MS = 1_000
const HELD_DELAY = { baseMs: 1_000, maxMs: 5_000 }
/** Shapes and comparisons that are remembered; the oldest ones are forgotten. */
const MAX_KNOWN = 200

/** Events of one shape that fail whatever they carry, until a made-up one of them lands. */
type Held = { readonly twin: Twin; readonly error: unknown; tries: number; nextAt: number }

/**
 * Decides about events that fail alone, by comparison with made-up ones (`probeLanding`), and holds back those whose shape
 * fails as such, so that they do not spoil the batches of others again and again.
 */
export type Judge = {
  /** Never rejects. */
  judge(error: unknown, delivery: Delivery, isLastAttempt: boolean): Promise<Verdict>
  /** Some shape is held back. */
  readonly isHolding: boolean
  /** Of these, the ones that are held back, with the reason. */
  heldBack(deliveries: readonly Delivery[]): Promise<Map<Delivery, { ms: number; error: unknown }>>
}

export function createJudge({ db, log }: { db: Db; log: Log }): Judge {
  const compared = new Map<string, { at: number; result: Promise<Comparison> }>()
  const held = new Map<string, Held>()

  function lands(twin: Twin): Promise<boolean> {
    const probe = (announced: boolean) => probeLanding(db, twin, { announced, again: true })
    return probe(true).then(
      () => true,
      () => false,
    )
  }

  function compare(error: unknown, twin: Twin): Promise<Comparison> {
    const { constraint = '' } = error as { constraint?: string }
    const key = `${errorCode(error)} ${constraint} ${twin.shape}`
    const known = compared.get(key)
    if (known && performance.now() - known.at < SAME_MS) return known.result
    const result = lands(twin).then((isLanded): Comparison => (isLanded ? 'lands' : 'fails'))
    compared.delete(key)
    remember(compared, key, { at: performance.now(), result })
    return result
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
    if (!(await lands(one.twin))) return one.nextAt - performance.now()
    held.delete(one.twin.shape)
    compared.clear()
    log.info('Postgres takes events of this kind again')
    return undefined
  }

  return {
    async judge(error, delivery, isLastAttempt) {
      const failure = classifyFailure(error)
      if (error instanceof NotTried || failure === 'infrastructure') return { kind: 'wait' }
      const twin = twinOf(delivery)
      const comparison = await compare(error, twin)
      if (comparison === 'fails') holdBack(error, twin)
      return verdictOf(failure, isLastAttempt, comparison)
    },

    get isHolding() {
      return held.size > 0
    },

    async heldBack(deliveries) {
      const waiting = new Map<Delivery, { ms: number; error: unknown }>()
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
