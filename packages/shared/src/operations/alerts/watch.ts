import { randomUUID } from 'node:crypto'
import { classifyFailure, dropLease, holdLease, isNotMigrated, recordTold } from '../../db/index.ts'
import { describeError, errorCode, every, type Log, type Metrics, withDeadline } from '../../runtime/index.ts'
import { readState, type State } from '../state/index.ts'
import type { Stores } from '../stores.ts'
import { conditionsOf } from './conditions.ts'
import { startHeartbeat } from './heartbeat.ts'
import { knowInstallation } from './installation.ts'
import { noteConditions, sendDue, TIMES, type Times } from './notify.ts'
import type { AlertSettings } from './settings.ts'
import { createStorageFacts } from './storage-facts.ts'
import { alertText } from './texts.ts'
import { createVoice, type Spoken } from './voice.ts'

export const LOOK_EVERY_MS = 10_000
const LEASE = 'sluice alerts'
/** A state that is older says nothing about now. It is less than the time after which people are told. */
const FRESH_MS = 25_000
/** An ingest looks only if no scheduler has for so long. */
const INGEST_PATIENCE_MS = 15_000
const END_LIMIT_MS = 1_000
/** Nobody waits longer for a store before it is told that it is away. */
const AGAIN_MS = 3_000

export type AlertWatch = AsyncDisposable & {
  /** Looks once; to be called every `LOOK_EVERY_MS`. */
  round(): Promise<void>
}

/**
 * Finds what people must hear of, and tells them. Of all processes that watch, one looks, under a lease: a scheduler,
 * or an ingest if none runs. Each sends what is due, in a loop of its own: a channel that hangs holds nothing up.
 */
export function startAlertWatch(
  {
    db,
    queue,
    sources,
    metrics,
    log,
  }: Pick<Stores, 'db' | 'queue' | 'sources'> & { metrics: Metrics; log: Log },
  { channels, heartbeat }: AlertSettings,
  role: 'scheduler' | 'ingest',
  times: Times & { readonly sendEveryMs: number; readonly beatEveryMs?: number } = {
    ...TIMES,
    sendEveryMs: 5_000,
  },
): AlertWatch {
  const stack = new AsyncDisposableStack()
  const holder = `${role} ${randomUUID()}`
  const terms = role === 'ingest' ? { patienceMs: INGEST_PATIENCE_MS } : { over: 'ingest ' }
  const readFacts = createStorageFacts()
  const installation = knowInstallation(db)
  let state: State | undefined
  let down: { since: Date; why: string } | undefined
  /** Since when Postgres answers; undefined while it does not. */
  let upAt: number | undefined

  async function look(): Promise<void> {
    const isHeld = await holdLease(db, LEASE, holder, terms)
    upAt ??= Date.now()
    if (!isHeld) {
      state = undefined
      return
    }
    const now = await readState({ db, queue, sources }, { before: state })
    state = now
    const { recorded, stores } = now.figures
    if (stores.postgres === 'not_migrated') throw new NotMigrated()
    if (stores.postgres !== 'up' || !recorded) throw new Away()
    const storage = await readFacts({ db, queue }, recorded.findings)
    const facts = { state: now, recorded, storage, upMs: now.at.getTime() - upAt }
    // For the time when Postgres is away.
    await installation()
    await noteConditions(db, conditionsOf(facts), times)
    await handOver()
  }

  /** What was told while Postgres was away is over now, which the table tells. */
  async function handOver(): Promise<void> {
    const since = queue && (await soon(queue.told.read()).catch(() => undefined))
    if (!since) return
    await recordTold(db.pool, { ...postgresDown({ since, why: 'does not answer' }), openedAt: since })
    await soon(queue.told.forget())
  }

  async function round(): Promise<void> {
    try {
      await look()
      down = undefined
    } catch (error) {
      const why = reasonOf(error)
      // Without a reason, Postgres has answered.
      down = why === undefined ? undefined : { since: down?.since ?? new Date(), why }
      if (!down) throw error
      upAt = undefined
    }
  }

  stack.defer(() => withDeadline(dropLease(db, LEASE, holder), END_LIMIT_MS, 'giving back').catch(() => {}))
  if (channels.length > 0) {
    const sending = { channels, installation, metrics, log }
    stack.use(
      every(times.sendEveryMs, (stop) => sendDue(db, sending, { stop, times }), {
        onError: (error) => log.debug({ error: describeError(error) }, 'alerts are not sent yet'),
      }),
    )
    // Without Redis, an ingest tells that it refuses.
    const speaks = role === 'scheduler' || queue !== undefined
    stack.use(
      createVoice(sending, {
        everyMs: times.sendEveryMs,
        graceMs: times.graceMs,
        look: () => (down && speaks ? [postgresDown(down)] : []),
        async write() {
          await soon(round())
          if (down) throw new Away()
        },
        // With Redis, one process tells it. If Redis is away as well, the ingests tell that they refuse.
        ...(queue && {
          claim: () => soon(queue.told.claim(times.claimMs)).catch(() => false),
          noted: ({ since }) => soon(queue.told.note(since)).catch(() => {}),
        }),
        record: (told) =>
          queue ? Promise.resolve() : recordTold(db.pool, { ...told, openedAt: told.since }),
      }),
    )
  }
  if (heartbeat !== undefined) {
    const isFresh = () => state !== undefined && Date.now() - state.at.getTime() < FRESH_MS
    const isWell = () => down === undefined && isFresh() && state?.level !== 'fail'
    stack.use(startHeartbeat(heartbeat, { isWell, metrics, log }, times.beatEveryMs))
  }
  return { round, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

const soon = <T>(work: Promise<T>) => withDeadline(work, AGAIN_MS, 'looking again')

class NotMigrated extends Error {}
class Away extends Error {}

/** Why nothing can be written into Postgres; undefined if the error has another cause. */
function reasonOf(error: unknown): string | undefined {
  const code = errorCode(error) ?? ''
  if (error instanceof NotMigrated || isNotMigrated(error)) return 'is not migrated (npx sluice migrate)'
  if (code === '25006') return 'cannot be written to'
  if (code === '53100') return 'has no space left on its disk'
  if (error instanceof Away || classifyFailure(error) === 'infrastructure') return 'does not answer'
  return undefined
}

function postgresDown({ since, why }: { since: Date; why: string }): Spoken {
  const what = `Postgres ${why}: events wait in Redis, or are refused if there is none.`
  const text = alertText('store-down', what)
  return { name: 'store-down', subject: 'postgres', severity: 'page', since, peak: null, text }
}
