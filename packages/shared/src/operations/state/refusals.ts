import { type Db, listOpenRefusals, type Refusal, type RefusedTogether } from '../../db/index.ts'
import { nextTries } from '../../idwise/index.ts'
import type { OpenRefusals, RefusalFigures } from './figures.ts'

/** A try may come so much late. */
const LATE_MS = 60_000
export const LOST_SHOWN_MS = 86_400_000

type Clock = {
  /** When IDWise tries next; null after the last try. */
  readonly nextTryAt: Date | null
  /** When it tries for the last time. */
  readonly givesUpAt: Date
  readonly isLost: boolean
}

/** What IDWise does next with an event that it was refused. */
function senderClock({ first, last }: { first: Date; last: Date }, now: Date): Clock {
  const tries = nextTries({ first: first.getTime(), last: last.getTime() })
  const final = tries.at(-1) ?? last.getTime()
  const next = tries.find((at) => at > now.getTime() - LATE_MS)
  return {
    nextTryAt: next === undefined ? null : new Date(next),
    givesUpAt: new Date(final),
    isLost: next === undefined,
  }
}

export function sumRefusals(refused: readonly RefusedTogether[], now: Date): OpenRefusals {
  const byEnvironment = Map.groupBy(refused, ({ environment }) => environment)
  return {
    ...sum(refused, now),
    byEnvironment: Object.fromEntries([...byEnvironment].map(([name, some]) => [name, sum(some, now)])),
  }
}

function sum(refused: readonly RefusedTogether[], now: Date): RefusalFigures {
  const clocks = refused.map((group) => ({ ...senderClock(group, now), events: group.events }))
  const awaited = clocks.filter(({ isLost }) => !isLost)
  const eventsOf = (some: typeof clocks) => some.reduce((total, { events }) => total + events, 0)
  const earliest = (times: readonly (Date | null)[]) =>
    times.reduce((least, at) => (least === null || (at !== null && at < least) ? at : least), null)
  return {
    awaited: eventsOf(awaited),
    nextTryAt: earliest(awaited.map(({ nextTryAt }) => nextTryAt)),
    givesUpAt: earliest(awaited.map(({ givesUpAt }) => givesUpAt)),
    lost: eventsOf(clocks) - eventsOf(awaited),
  }
}

/** A refused event that has not come again, with what IDWise does next. */
export type AwaitedRefusal = Refusal & Clock

/** Those of the last day, the oldest first. */
export async function listRefusals({ pool }: Db, limit: number, now = new Date()): Promise<AwaitedRefusal[]> {
  const since = new Date(now.getTime() - LOST_SHOWN_MS)
  const refusals = await listOpenRefusals(pool, { since, limit })
  return refusals.map((refusal) => ({
    ...refusal,
    ...senderClock({ first: refusal.firstRefusedAt, last: refusal.lastRefusedAt }, now),
  }))
}
