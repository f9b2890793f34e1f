import { pause, withDeadline } from './backoff.ts'
import type { Check, StoreName } from './check.ts'
import { describeError, UserError } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** Looks at the stores' settings at the start and every minute, since somebody may change them under a running process. */
export type StoreChecks = AsyncDisposable & {
  /** What is not as it should be, in words; empty where all is. */
  problems(): string[]
  /** False where events that this store takes could not be fetched from it, and before its first look is done. */
  isUsable(store: StoreName): boolean
  /** Whether a store may not be given events: it cannot be used, or may lose them and such a store is refused. */
  blocksUse(store: StoreName): boolean
}

/** What to look at: the stores that are configured, and whatever else. They do not wait for each other. */
export type Looks = Readonly<Partial<Record<StoreName | 'Processes', () => Promise<Check[]>>>>

const EVERY_MS = 60_000
/** While a store is left out, and when `changed` says something else than before. */
const SOON_MS = 2_000

/**
 * @param options.strict refuses settings that break a promise, where they are warned about otherwise
 * @param options.redisMs the longest to wait for the first look at Redis, ms; with `strict` all are waited for
 * @param options.changed is asked every 2 s: another value than before brings the next look forward
 * @throws UserError where such a setting is found at the start
 */
export async function startStoreChecks(options: {
  looks: Looks
  strict: boolean
  log: Log
  metrics: Metrics
  redisMs?: number
  changed?: () => unknown
  everyMs?: number
}): Promise<StoreChecks> {
  const { looks, strict, log, metrics, redisMs = 0, changed, everyMs = EVERY_MS } = options
  const stop = new AbortController()
  const latest = new Map<string, Check[]>()
  let known = new Set<string>()

  const found = () => [...latest.values()].flat()
  const unsafe = () => found().filter((check) => check.unsafe)
  // Asked for each event, so kept ready. Redis has to prove itself first.
  const isUsable: Record<StoreName, boolean> = { Redis: !looks.Redis, Postgres: true }
  const isSafe: Record<StoreName, boolean> = { Redis: true, Postgres: true }

  async function lookAt(name: string, look: () => Promise<Check[]>): Promise<void> {
    const checks = await look().catch((error): Check[] => [
      { name, level: 'warn', text: `could not be looked at: ${describeError(error).message}` },
    ])
    latest.set(name, checks)
    judge()
    tell()
  }
  const lookAtAll = () => new Map(Object.entries(looks).map(([name, look]) => [name, lookAt(name, look)]))

  function judge(): void {
    for (const store of ['Redis', 'Postgres'] as const) {
      const isKnown = store === 'Postgres' || latest.has(store) || !looks.Redis
      isUsable[store] = isKnown && !found().some(({ unusable }) => unusable === store)
      isSafe[store] = !unsafe().some((check) => check.unsafe === store)
    }
  }

  function tell(): void {
    const bad = found().filter(({ level }) => level !== 'ok')
    for (const level of ['ok', 'warn', 'fail'] as const) {
      metrics.checks.set({ level }, found().filter((check) => check.level === level).length)
    }
    metrics.unsafe.set(unsafe().length)
    for (const check of bad) {
      if (!known.has(inWords(check))) log.warn({ check: check.name, advice: check.advice }, inWords(check))
    }
    known = new Set(bad.map(inWords))
  }

  async function watch(): Promise<void> {
    for (;;) {
      const waitMs = everyMs * (0.9 + Math.random() * 0.2)
      for (const began = performance.now(); performance.now() - began < waitMs; ) {
        await pause(Math.min(SOON_MS, waitMs), stop.signal)
        if (stop.signal.aborted) return
        if (changed?.() !== before || found().some(({ unusable }) => unusable)) break
      }
      before = changed?.()
      await Promise.all(lookAtAll().values())
    }
  }

  // What is only warned about need not hold up the start.
  let before = changed?.()
  const looking = lookAtAll()
  const first = Promise.all(looking.values())
  const ofRedis = looking.get('Redis') ?? Promise.resolve()
  await (strict ? first : withDeadline(ofRedis, redisMs, 'the first look at Redis').catch(() => {}))
  if (strict && unsafe().length > 0) {
    const lines = unsafe().map((check) => `  - ${inWords(check)}. ${check.advice}`)
    throw new UserError(`SLUICE_DURABILITY=strict refuses these stores:\n${lines.join('\n')}`)
  }
  const watching = first.then(watch)
  return {
    problems: () => found().flatMap((check) => (check.level === 'ok' ? [] : inWords(check))),
    isUsable: (store) => isUsable[store],
    blocksUse: (store) => !isUsable[store] || (strict && !isSafe[store]),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await watching
    },
  }
}

const inWords = ({ name, text }: Check) => `${name}: ${text}`
