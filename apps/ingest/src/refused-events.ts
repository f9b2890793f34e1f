import { createErasedSubjects, type Db, type Refusal, writeRefusals } from '@sluice/shared/db'
import { parseEvent, SURE_SPAN_MS } from '@sluice/shared/idwise'
import { describeError, every, type Log, type Metrics } from '@sluice/shared/runtime'

/** An event that no store has acknowledged: what `accept` knows of it. */
export type RefusedEvent = {
  readonly environment: string
  readonly raw: Buffer | string
  /** Hex: the event key, or the body's SHA-256 if the body has no event id. */
  readonly id: string
  /** ms since 1970 */
  readonly at: number
}

export type RefusedEvents = AsyncDisposable & { add(event: RefusedEvent): void }

const MOST = 10_000
const EVERY_MS = 5_000
const PAGE = 1_000

/**
 * Remembers which events were answered 503, and writes them into `refusals` once Postgres takes them. Beyond 10,000
 * further ones are only counted by the metrics. Until then it shows how much patience IDWise has with them; afterwards
 * a scheduler does.
 */
export function rememberRefused(
  db: Db,
  metrics: Pick<Metrics, 'senderPatience'>,
  log: Log,
  everyMs = EVERY_MS,
): RefusedEvents {
  let remembered = new Map<string, Refusal>()
  let shown: string[] = []
  const subjects = createErasedSubjects(log)

  function add({ environment, raw, id, at }: RefusedEvent): void {
    const known = remembered.get(id)
    if (!known && remembered.size >= MOST) return
    const refusedAt = new Date(at)
    if (known) {
      remembered.set(id, { ...known, lastRefusedAt: refusedAt, deliveries: known.deliveries + 1 })
      return
    }
    const { event, eventId, journeyId, referenceNo, details } = parseEvent(raw)
    remembered.set(id, {
      eventKey: Buffer.from(id, 'hex'),
      environment,
      event,
      eventId,
      // So that the erasure of a journey finds its spot checks.
      journeyId: journeyId ?? details?.spotCheckJourneyId ?? null,
      referenceNo,
      firstRefusedAt: refusedAt,
      lastRefusedAt: refusedAt,
      deliveries: 1,
    })
  }

  function showPatience(): void {
    const firsts = new Map<string, number>()
    for (const { environment, firstRefusedAt } of remembered.values()) {
      if (!firsts.has(environment)) firsts.set(environment, firstRefusedAt.getTime())
    }
    for (const environment of shown) {
      if (!firsts.has(environment)) metrics.senderPatience.remove({ environment })
    }
    shown = [...firsts.keys()]
    for (const [environment, first] of firsts) {
      metrics.senderPatience.set({ environment }, (first + SURE_SPAN_MS - Date.now()) / 1_000)
    }
  }

  async function write(): Promise<void> {
    while (remembered.size > 0) {
      const page = [...remembered].slice(0, PAGE)
      await writeRefusals(
        db,
        subjects,
        page.map(([, refusal]) => refusal),
      )
      // Those that were refused again meanwhile stay, with all of their deliveries but those that are written.
      const rest = new Map(remembered)
      for (const [id, written] of page) {
        const now = rest.get(id) as Refusal
        if (now === written) rest.delete(id)
        else rest.set(id, { ...now, deliveries: now.deliveries - written.deliveries })
      }
      remembered = rest
    }
  }

  const writing = every(everyMs, () => write().finally(showPatience), {
    onError: (error) => log.debug({ error: describeError(error) }, 'refused events are not recorded yet'),
  })
  return {
    add,
    async [Symbol.asyncDispose]() {
      await writing[Symbol.asyncDispose]()
      await write().catch(() => {})
    },
  }
}
