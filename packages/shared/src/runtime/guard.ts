import { pause } from './backoff.ts'
import type { Check, StoreName } from './check.ts'
import { describeError, UserError } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** Looks at the stores' settings at the start and every minute, since somebody may change them under a running process. */
export type Guard = AsyncDisposable & {
  /** What is not as it should be, in words; empty where all is. */
  problems(): string[]
  /** Whether this store may lose acknowledged events, and such a store is refused. */
  isRefused(store: StoreName): boolean
}

const EVERY_MS = 60_000

/**
 * @param options.strict refuses settings that break a promise, where they are warned about otherwise
 * @throws UserError where such a setting is found at the start
 */
export async function startGuard(options: {
  check(): Promise<Check[]>
  strict: boolean
  log: Log
  metrics: Metrics
  everyMs?: number
}): Promise<Guard> {
  const { check, strict, log, metrics, everyMs = EVERY_MS } = options
  const stop = new AbortController()
  let latest: Check[] = []
  let known = new Set<string>()

  async function look(): Promise<void> {
    latest = await check().catch((error): Check[] => [
      { name: 'Checks', level: 'warn', text: `failed: ${describeError(error).message}` },
    ])
    const bad = latest.filter(({ level }) => level !== 'ok')
    for (const level of ['ok', 'warn', 'fail'] as const) {
      metrics.checks.set({ level }, latest.filter((found) => found.level === level).length)
    }
    metrics.unsafe.set(bad.filter((found) => found.unsafe).length)
    for (const found of bad) {
      if (!known.has(inWords(found))) log.warn({ check: found.name, advice: found.advice }, inWords(found))
    }
    known = new Set(bad.map(inWords))
  }

  async function watch(): Promise<void> {
    for (;;) {
      await pause(everyMs * (0.9 + Math.random() * 0.2), stop.signal)
      if (stop.signal.aborted) return
      await look()
    }
  }

  const unsafe = () => latest.filter((found) => found.unsafe)
  // What is only warned about need not hold up the start.
  const first = look()
  if (strict) await first
  if (strict && unsafe().length > 0) {
    const lines = unsafe().map((found) => `  - ${inWords(found)}. ${found.advice}`)
    throw new UserError(`SLUICE_DURABILITY=strict refuses these stores:\n${lines.join('\n')}`)
  }
  const watching = watch()
  return {
    problems: () => latest.filter(({ level }) => level !== 'ok').map(inWords),
    isRefused: (store) => strict && unsafe().some((found) => found.unsafe === store),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all([first, watching])
    },
  }
}

const inWords = ({ name, text }: Check) => `${name}: ${text}`
