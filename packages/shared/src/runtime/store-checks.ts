import { withDeadline } from './backoff.ts'
import type { Check, StoreName } from './check.ts'
import { describeError, UserError } from './errors.ts'
import { every } from './every.ts'
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

  let before = changed?.()
  let lookedAt = performance.now()
  async function lookIfDue(): Promise<void> {
    const isOver = performance.now() - lookedAt >= everyMs
    if (!isOver && changed?.() === before && !found().some(({ unusable }) => unusable)) return
    before = changed?.()
    await Promise.all(lookAtAll().values())
    lookedAt = performance.now()
  }

  // What is only warned about need not hold up the start.
  const looking = lookAtAll()
  const first = Promise.all(looking.values())
  const ofRedis = looking.get('Redis') ?? Promise.resolve()
  await (strict ? first : withDeadline(ofRedis, redisMs, 'the first look at Redis').catch(() => {}))
  if (strict && unsafe().length > 0) {
    const lines = unsafe().map((check) => `  - ${inWords(check)}. ${check.advice}`)
    throw new UserError(`SLUICE_DURABILITY=strict refuses these stores:\n${lines.join('\n')}`)
  }
  const watching = first.then(() =>
    every(Math.min(SOON_MS, everyMs), lookIfDue, {
      pauseFirst: true,
      onError: (error) => log.warn({ err: error }, 'the stores could not be looked at'),
    }),
  )
  return {
    problems: () => found().flatMap((check) => (check.level === 'ok' ? [] : inWords(check))),
    isUsable: (store) => isUsable[store],
    blocksUse: (store) => !isUsable[store] || (strict && !isSafe[store]),
    [Symbol.asyncDispose]: async () => (await watching)[Symbol.asyncDispose](),
  }
}

const inWords = ({ name, text }: Check) => `${name}: ${text}`
