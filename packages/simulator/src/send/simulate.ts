import type { Credential } from '@sluice/shared/runtime'
import { UserError } from '@sluice/shared/runtime'
import { createLedger, type EventRecord } from '../ledger.ts'
import { createDeliver } from './deliver.ts'
import type { Mix } from './mix.ts'
import type { PlannedEvent } from './scenario.ts'
import { createWaits, LONGEST_WAIT_MS, pace } from './schedule.ts'
import { createSend } from './send.ts'
import { createStats, type Progress } from './stats.ts'
import { createTraffic } from './traffic.ts'

export type SimulateOptions = {
  /** The address of the receiver, without the paths of the webhooks. */
  readonly url: string
  /** The receiver's credentials for each of its sources. One without any gets no events. */
  readonly credentials: Readonly<Record<string, readonly Credential[]>>
  /** The same seed gives the same events, byte for byte, in the same order. */
  readonly seed: string
  readonly mix: Mix
  /** New events a second. Duplicates and redeliveries are sent in addition. */
  readonly ratePerSecond: number
  /** The run ends after so many journeys or so long. Without either it goes on until it is stopped. */
  readonly journeys?: number | undefined
  readonly durationMs?: number | undefined
  readonly connections: number
  /** How long the sender waits for a connection, then for the answer. IDWise gives no figure. Not scaled. */
  readonly timeoutMs: number
  /** Divides the gaps before redeliveries: 600 makes five minutes into half a second. */
  readonly timeScale: number
  /** The gaps before the redeliveries. */
  readonly redeliveryMinutes?: readonly number[]
  /** A new file. Without it nothing is recorded. */
  readonly ledgerPath?: string | undefined
}

export type Summary = Progress & {
  readonly seed: string
  /** False if the run was stopped before every event was delivered or given up. */
  readonly complete: boolean
}

/**
 * "Webhook FAQ". It does not say whether these are gaps or offsets; here they are gaps. This is a copy of Sluice's own
 * schedule on purpose: a mistake there must not be repeated here.
 */
const REDELIVERY_MINUTES = [5, 10, 15]
const PROGRESS_EVERY_MS = 500

/**
 * Plays IDWise against a receiver until every event is delivered or given up.
 *
 * @param signal stops it early: requests under way get their answer, nothing new is sent
 * @throws UserError if an option makes no sense or the ledger cannot be made
 */
export async function simulate(
  options: SimulateOptions,
  { onProgress, signal = new AbortController().signal }: SimulateHooks = {},
): Promise<Summary> {
  const { seed, credentials, timeScale, redeliveryMinutes = REDELIVERY_MINUTES } = options
  const { url, environments } = check(options)
  await using stack = new AsyncDisposableStack()
  const ledger =
    options.ledgerPath === undefined ? undefined : stack.use(await createLedger(options.ledgerPath))
  const { send } = stack.use(createSend({ ...options, url }))
  const stats = createStats()
  const broken = new AbortController()
  const stopped = AbortSignal.any([signal, broken.signal])
  const gapsMs = redeliveryMinutes.map((minutes) => (minutes * 60_000) / timeScale)
  const deliver = createDeliver({ send, credentials, ledger, stats, wait: createWaits(stopped), gapsMs })
  const timer = setInterval(() => onProgress?.(stats.progress()), PROGRESS_EVERY_MS)
  stack.defer(() => clearInterval(timer))

  ledger?.append({ type: 'run', version: 1, at: Date.now(), seed, url: url.href })
  const underWay = new Set<Promise<void>>()
  const traffic = createTraffic({ ...options, environments })
  for await (const due of pace(traffic, { ...options, signal: stopped })) {
    const first = stats.count.events
    stats.count.events += due.length
    due.forEach(({ item }, index) => {
      ledger?.append(eventRecord(first + index, item))
    })
    ledger?.flush()
    due.forEach(({ item, dueAt }, index) => {
      const delivery = deliver({ n: first + index, event: item, dueAt })
        .catch((error) => broken.abort(error))
        .finally(() => underWay.delete(delivery))
      underWay.add(delivery)
    })
  }
  await Promise.all(underWay)
  broken.signal.throwIfAborted()

  const complete = !signal.aborted
  ledger?.append({ type: 'end', at: Date.now(), complete })
  return { ...stats.progress(), seed, complete }
}

export type SimulateHooks = {
  readonly onProgress?: (progress: Progress) => void
  readonly signal?: AbortSignal
}

function eventRecord(n: number, event: PlannedEvent): EventRecord {
  const { environment, moment, eventId, sha256, bytes, test } = event
  const text = bytes.toString()
  const body = Buffer.from(text).equals(bytes) ? { text } : { base64: bytes.toString('base64') }
  const length = bytes.length
  const at = Date.now()
  return {
    type: 'event',
    n,
    at,
    environment,
    moment,
    eventId,
    sha256,
    length,
    ...body,
    ...(test && { test }),
  }
}

function check(options: SimulateOptions): { url: URL; environments: [string, ...string[]] } {
  const { ratePerSecond, connections, timeoutMs, timeScale, journeys, durationMs, credentials } = options
  const { redeliveryMinutes = REDELIVERY_MINUTES } = options
  const url = URL.parse(options.url)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UserError(`"${options.url}" is not an http or https URL.`)
  if (url.username || url.password)
    throw new UserError('The URL must not hold credentials; they are settings.')
  const numbers = {
    '--rate': ratePerSecond,
    '--journeys': journeys,
    '--duration': durationMs,
    '--connections': connections,
    '--timeout': timeoutMs,
    '--time-scale': timeScale,
  }
  for (const [name, value] of Object.entries(numbers)) {
    if (value !== undefined && !(value > 0)) throw new UserError(`${name} must be above 0, not ${value}.`)
  }
  for (const [name, value] of [
    ['--journeys', journeys],
    ['--connections', connections],
  ] as const) {
    if (value !== undefined && !Number.isSafeInteger(value))
      throw new UserError(`${name} must be a whole number, not ${value}.`)
  }
  if (timeoutMs > LONGEST_WAIT_MS)
    throw new UserError(`--timeout must be at most ${Math.floor(LONGEST_WAIT_MS / 1000)} seconds.`)
  const longestGap = Math.max(0, ...redeliveryMinutes) * 60_000
  if (longestGap / timeScale > LONGEST_WAIT_MS) {
    const least = Math.ceil((longestGap / LONGEST_WAIT_MS) * 10_000) / 10_000
    throw new UserError(`--time-scale must be at least ${least}, or redeliveries would be weeks away.`)
  }
  const [first, ...rest] = Object.keys(credentials).filter((name) => (credentials[name]?.length ?? 0) > 0)
  if (!first) {
    throw new UserError(
      'No source has credentials to send with. Set IDWISE_LIVE_CREDENTIALS or those of another source as for the ingest.',
    )
  }
  return { url, environments: [first, ...rest] }
}
