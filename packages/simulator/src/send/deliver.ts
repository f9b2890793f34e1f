import type { Credential } from '@sluice/shared/runtime'
import type { Ledger } from '../ledger.ts'
import type { Disturbance, PlannedEvent } from './scenario.ts'
import type { Manner, Send } from './send.ts'
import type { Stats } from './stats.ts'

export type Delivery = { readonly n: number; readonly event: PlannedEvent; readonly dueAt: number }

/**
 * Delivers one event as IDWise does ("Webhook FAQ"). Anything but a 200 in time is a failure. After each failure the
 * same bytes are sent again one gap later, until there is no gap left.
 */
export function createDeliver(deps: {
  send: Send
  credentials: Readonly<Record<string, readonly Credential[]>>
  ledger: Ledger | undefined
  stats: Stats
  /** Resolves to false if the run is stopped. */
  wait: (ms: number) => Promise<boolean>
  gapsMs: readonly number[]
}) {
  const { send, credentials, ledger, stats, wait, gapsMs } = deps

  return async function deliver({ n, event, dueAt }: Delivery): Promise<void> {
    const { disturbance } = event
    const twin = disturbance === 'twin' ? duplicate(n, event, dueAt) : undefined
    const end = await deliverOrGiveUp(n, event, dueAt)
    stats.count[end]++
    if (disturbance === 'again' && end === 'delivered') await duplicate(n, event, performance.now())
    await twin
  }

  async function deliverOrGiveUp(n: number, event: PlannedEvent, firstDueAt: number) {
    const late = event.disturbance === 'late'
    if (
      await attempt(n, event, firstDueAt, {
        redelivery: 0,
        manner: MANNER[event.disturbance ?? 'twin'],
        late,
      })
    ) {
      return 'delivered'
    }
    for (const [index, gap] of gapsMs.entries()) {
      const dueAt = performance.now() + gap
      if (!(await wait(gap))) return 'unfinished'
      stats.count.redelivered++
      if (await attempt(n, event, dueAt, { redelivery: index + 1 })) return 'delivered'
    }
    return 'givenUp'
  }

  async function duplicate(n: number, event: PlannedEvent, dueAt: number): Promise<void> {
    stats.count.duplicates++
    await attempt(n, event, dueAt, { redelivery: 0, duplicate: true })
  }

  /** @returns whether the event counts as delivered */
  async function attempt(
    n: number,
    event: PlannedEvent,
    dueAt: number,
    options: AttemptOptions,
  ): Promise<boolean> {
    const { redelivery, manner = 'plain', late = false, duplicate = false } = options
    const at = Date.now()
    const answer = await send({ ...event, manner, credential: credentialFor(n, event) })
    stats.answered(answer)
    // Requests that the sender delays or breaks off on purpose would distort the latency.
    if (manner === 'plain') stats.took(performance.now() - dueAt)
    const success = answer.kind === 'answered' && answer.status === 200
    ledger?.append({
      type: 'attempt',
      n,
      eventId: event.eventId,
      sha256: event.sha256,
      redelivery,
      ...(duplicate && { duplicate }),
      at,
      end: Date.now(),
      answer: answer.kind,
      ...(answer.kind === 'answered' && { status: answer.status }),
      ...(late && success && { late }),
    })
    return success && !late
  }

  /** Takes turns among the credentials of an environment. All deliveries of an event use the same one. */
  function credentialFor(n: number, event: PlannedEvent): Credential {
    const list = credentials[event.environment] ?? []
    return list[n % list.length] ?? { kind: 'none' }
  }
}

type AttemptOptions = {
  readonly redelivery: number
  readonly manner?: Manner
  readonly late?: boolean
  readonly duplicate?: boolean
}

const MANNER: Readonly<Record<Disturbance, Manner>> = {
  twin: 'plain',
  again: 'plain',
  late: 'plain',
  cut: 'cut',
  hang_up: 'hang_up',
  slow: 'slow',
}
