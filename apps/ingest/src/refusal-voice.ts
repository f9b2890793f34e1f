import type { Db } from '@sluice/shared/db'
import { REDELIVERY_SPAN_MS } from '@sluice/shared/idwise'
import {
  type AlertSettings,
  alertText,
  createVoice,
  GIVES_UP_SOON,
  knowInstallation,
  mayGiveUpSoon,
  meaningOfRefusals,
  recordTold,
  type Spoken,
  seeCondition,
  severityFor,
  TIMES,
} from '@sluice/shared/operations'
import type { Log, Metrics, Source } from '@sluice/shared/runtime'

/** Further refused events are not watched for. */
const MOST = 100_000
const EVERY_MS = 1_000

/** What the ingest hears of each event; both cost nothing while none was refused. */
export type RefusalVoice = AsyncDisposable & {
  refused(event: { id: string; at: number }): void
  accepted(id: string): void
}

/**
 * Tells from memory that this ingest refuses events, while the table of incidents is away with the stores. With two
 * ingests each tells it, with the same key.
 *
 * @param deps.canAccept whether a store would take an event now
 * @param deps.now the clock by which events are received, ms since 1970
 */
export function createRefusalVoice(
  channels: AlertSettings['channels'],
  deps: {
    db: Db
    sources: readonly Source[]
    canAccept(): boolean
    now(): number
    metrics: Metrics
    log: Log
    /** Refusals so far apart are two incidents, if an event was accepted in between. */
    graceMs?: number
    everyMs?: number
  },
): RefusalVoice {
  const { db, sources, canAccept, now, metrics, log, graceMs = TIMES.graceMs, everyMs = EVERY_MS } = deps
  /** The first refusal of each event that has not come again, the oldest first. */
  const awaited = new Map<string, number>()
  /** The first and the last refusal of the present incident. */
  let since: number | undefined
  let last = 0
  let isAccepting = true

  function look(): Spoken[] {
    // Nothing has come since, and a store would take it.
    if (!isAccepting && now() - last >= graceMs && canAccept()) isAccepting = true
    if (since === undefined || isAccepting) return []
    const [first = since] = awaited.values()
    const [givesUpAt, at] = [new Date(first + REDELIVERY_SPAN_MS), new Date(now())]
    const meaning = meaningOfRefusals({ events: awaited.size, givesUpAt }, at)
    const what = `No store takes events: the ingest refuses them. ${meaning}`
    const severity = severityFor(sources.map(({ kind }) => kind))
    const rest = { name: 'refusing', severity, since: new Date(since), peak: awaited.size } as const
    const spoken = { ...rest, subject: '', text: alertText('refusing', what) }
    if (!mayGiveUpSoon(givesUpAt, at)) return [spoken]
    return [
      spoken,
      { ...rest, subject: GIVES_UP_SOON, text: alertText('refusing', meaning), recovers: false },
    ]
  }

  function begin(at: number): void {
    since = at
    // With several ingests, another one may have taken an event that came again.
    for (const [id, first] of awaited) if (first + REDELIVERY_SPAN_MS < at) awaited.delete(id)
  }

  const installation = knowInstallation(db)
  const voice = createVoice(
    { channels, installation, metrics, log },
    {
      look,
      write: (spoken) => seeCondition(db.pool, spoken, spoken.since),
      record: (told) => recordTold(db.pool, { ...told, openedAt: told.since }),
      graceMs,
      everyMs,
    },
  )
  return {
    refused({ id, at }) {
      if (isAccepting && at - last > graceMs) begin(at)
      isAccepting = false
      last = at
      if (awaited.size < MOST && !awaited.has(id)) awaited.set(id, at)
    },
    accepted(id) {
      if (isAccepting && awaited.size === 0) return
      isAccepting = true
      awaited.delete(id)
    },
    [Symbol.asyncDispose]: () => voice[Symbol.asyncDispose](),
  }
}
