import type { Db } from '@sluice/shared/db'
import { REDELIVERY_SPAN_MS } from '@sluice/shared/idwise'
import {
  type AlertSettings,
  alertText,
  createVoice,
  meaningOfRefusals,
  recordTold,
  type Spoken,
  severityOfRefusals,
  sourcesInWords,
} from '@sluice/shared/operations'
import { kindOf, type Log, type Metrics, type Source } from '@sluice/shared/runtime'

/** Further refused events are counted, but not watched for. */
const MOST = 10_000

/** What the ingest hears of each event; both cost nothing while none was refused. */
export type RefusalVoice = AsyncDisposable & {
  refused(event: { id: string; at: number; environment: string }): void
  accepted(id: string): void
}

/**
 * Tells that this ingest refuses events, from memory, since the table of incidents is away with the stores. With two
 * ingests each tells it, with the same key.
 *
 * @param deps.now the clock by which events are received, ms since 1970
 */
export function createRefusalVoice(
  { channels }: AlertSettings,
  deps: { db: Db; sources: readonly Source[]; now(): number; metrics: Metrics; log: Log; graceMs?: number },
): RefusalVoice | undefined {
  if (channels.length === 0) return undefined
  const { db, sources, now, metrics, log, graceMs } = deps
  /** The first refusal of each event that has not come again. */
  const awaited = new Map<string, number>()
  /** The sources of the refused events. */
  const refusedOf = new Set<string>()
  let first: number | undefined
  let events = 0
  let again = 0
  let isRefusing = false

  function look(): Spoken | undefined {
    if (first === undefined || !isRefusing) return undefined
    const givesUpAt = new Date(first + REDELIVERY_SPAN_MS)
    const names = [...refusedOf]
    const what = `Neither store takes events: this ingest refuses them${sourcesInWords(names)}. ${meaningOfRefusals({ events, givesUpAt }, new Date(now()))}`
    const text = alertText('refusing', what)
    const severity = severityOfRefusals(names.map((name) => kindOf(sources, name)))
    return { name: 'refusing', subject: '', severity, since: new Date(first), peak: events, text }
  }
  const giveUpTime = (at: Date) =>
    `${new Date((first ?? at.getTime()) + REDELIVERY_SPAN_MS).toISOString().slice(11, 16)} UTC`
  function recovered({ since }: Spoken, at: Date): string {
    const seconds = Math.round((at.getTime() - since.getTime()) / 1_000)
    const rest = awaited.size
    const still =
      rest === 0
        ? 'all of them came again'
        : `${again} came again so far, and IDWise tries ${rest} more until ${giveUpTime(at)}`
    return `Events are accepted again, ${seconds} s after the first refusal. Refused events: ${events}; ${still}.`
  }
  const record = (last: Spoken) => recordTold(db.pool, { ...last, openedAt: last.since })
  function reset(): void {
    if (isRefusing) return
    awaited.clear()
    refusedOf.clear()
    first = undefined
    events = 0
    again = 0
  }
  const voice = createVoice(
    { channels, metrics, log },
    { look, recovered, record, over: reset, ...(graceMs !== undefined && { graceMs }) },
  )
  return {
    refused({ id, at, environment }) {
      // What is long over was told or was too short to be told.
      if (first !== undefined && at - first > REDELIVERY_SPAN_MS && !isRefusing) reset()
      isRefusing = true
      first ??= at
      refusedOf.add(environment)
      if (awaited.has(id)) return
      events++
      if (awaited.size < MOST) awaited.set(id, at)
    },
    accepted(id) {
      if (first === undefined) return
      isRefusing = false
      if (awaited.delete(id)) again++
    },
    [Symbol.asyncDispose]: () => voice[Symbol.asyncDispose](),
  }
}
