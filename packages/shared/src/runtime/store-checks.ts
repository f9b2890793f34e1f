import { withDeadline } from './backoff.ts'
import type { Check, Finding, StoreName } from './check.ts'
import { describeError, UserError } from './errors.ts'
import { every } from './every.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** Checks the settings of the stores at the start and every minute: an operator may change them at any time. */
export type StoreChecks = AsyncDisposable & {
  /** One sentence for each check that is not ok. */
  problems(): string[]
  /** Those among them about stores that may lose events. */
  unsafe(): string[]
  /** Those of which people are told. */
  findings(): Finding[]
  /** False if no worker could fetch events from this store, and for Redis until its first check is done. */
  isUsable(store: StoreName): boolean
  /** Whether no event may be put into this store: it is not usable, or may lose events and `strict` refuses that. */
  blocksUse(store: StoreName): boolean
}

/** The checks of each thing. They are made at the same time. */
export type Looks = Readonly<Partial<Record<StoreName | 'Processes', () => Promise<Check[]>>>>

const EVERY_MS = 60_000
/** While a store is not usable, and when `changed` returns another value. */
const SOON_MS = 2_000

/**
 * @param options.strict refuses stores that may lose events; without it the log warns of them
 * @param options.redisMs the longest wait for the first check of Redis, ms; `strict` waits for all first checks
 * @param options.changed is asked every 2 s; when it returns another value, the checks are made again
 * @throws UserError if such a store is found at the start
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
  // Prepared, because these are asked for each event. Redis is used only after its first check.
  const isUsable: Record<StoreName, boolean> = { Redis: !looks.Redis, Postgres: true }
  const isSafe: Record<StoreName, boolean> = { Redis: true, Postgres: true }

  async function checkOne(name: string, look: () => Promise<Check[]>): Promise<void> {
    const checks = await look().catch((error): Check[] => [
      { name, level: 'warn', text: `could not be checked: ${describeError(error).message}` },
    ])
    latest.set(name, checks)
    update()
    report()
  }
  const checkAll = () => new Map(Object.entries(looks).map(([name, look]) => [name, checkOne(name, look)]))

  function update(): void {
    for (const store of ['Redis', 'Postgres'] as const) {
      const isKnown = store === 'Postgres' || latest.has(store) || !looks.Redis
      isUsable[store] = isKnown && !found().some(({ unusable }) => unusable === store)
      isSafe[store] = !unsafe().some((check) => check.unsafe === store)
    }
  }

  function report(): void {
    const bad = found().filter(({ level }) => level !== 'ok')
    for (const level of ['ok', 'warn', 'fail'] as const) {
      metrics.checks.set({ level }, found().filter((check) => check.level === level).length)
    }
    metrics.unsafe.set(unsafe().length)
    for (const check of bad) {
      if (!known.has(sentenceOf(check)))
        log.warn({ check: check.name, advice: check.advice }, sentenceOf(check))
    }
    known = new Set(bad.map(sentenceOf))
  }

  let before = changed?.()
  let checkedAt = performance.now()
  async function checkIfDue(): Promise<void> {
    const isOver = performance.now() - checkedAt >= everyMs
    if (!isOver && changed?.() === before && !found().some(({ unusable }) => unusable)) return
    before = changed?.()
    await Promise.all(checkAll().values())
    checkedAt = performance.now()
  }

  // A mere warning need not hold up the start.
  const looking = checkAll()
  const first = Promise.all(looking.values())
  const ofRedis = looking.get('Redis') ?? Promise.resolve()
  await (strict ? first : withDeadline(ofRedis, redisMs, 'the first check of Redis').catch(() => {}))
  if (strict && unsafe().length > 0) {
    const lines = unsafe().map((check) => `  - ${sentenceOf(check)}. ${check.advice}`)
    throw new UserError(`SLUICE_DURABILITY=strict refuses these stores:\n${lines.join('\n')}`)
  }
  const watching = first.then(() =>
    every(Math.min(SOON_MS, everyMs), checkIfDue, {
      pauseFirst: true,
      onError: (error) => log.warn({ err: error }, 'the stores could not be checked'),
    }),
  )
  return {
    problems: () => found().flatMap((check) => (check.level === 'ok' ? [] : sentenceOf(check))),
    unsafe: () => unsafe().map(sentenceOf),
    findings: () =>
      found().flatMap(({ alert, name, text, advice = '' }) => (alert ? [{ alert, name, text, advice }] : [])),
    isUsable: (store) => isUsable[store],
    blocksUse: (store) => !isUsable[store] || (strict && !isSafe[store]),
    [Symbol.asyncDispose]: async () => (await watching)[Symbol.asyncDispose](),
  }
}

const sentenceOf = ({ name, text }: Check) => `${name}: ${text}`
