import type { FoundDrift, Looked, LookedAt } from '../../db/index.ts'
import { type Drift, findDrift } from '../../idwise/index.ts'

/** Somebody who presses "Test URL" sends what cannot be read: fewer in a day, or a smaller share, are no drift. */
const LEAST_UNREADABLE = 20
const LEAST_SHARE = 0.01
/** More differences of one look are not kept. */
const MOST = 200

type Sum = Omit<FoundDrift, 'events'> & { readonly events: Set<string> }

/** Counts how events differ from what is documented, each difference once. */
export function createTally(before: Readonly<Record<string, Looked>>) {
  const sums = new Map<string, Sum>()
  const counts = new Map(Object.entries(before))

  function addDrift(drift: Drift, event: LookedAt, kind: string): void {
    const { environment, eventKey: sample, processedAt: at } = event
    const name = JSON.stringify([environment, drift.kind, drift.path, drift.value])
    const sum = sums.get(name)
    if (!sum && sums.size >= MOST) return
    sum?.events.add(kind)
    sums.set(name, {
      ...drift,
      environment,
      events: sum?.events ?? new Set([kind]),
      count: (sum?.count ?? 0) + 1,
      share: null,
      firstAt: sum?.firstAt ?? at,
      lastAt: at,
      sample,
    })
  }

  function count({ environment }: LookedAt, isReadable: boolean): void {
    const { events, unreadable, untold } = counts.get(environment) ?? { events: 0, unreadable: 0, untold: 0 }
    const more = isReadable ? 0 : 1
    counts.set(environment, { events: events + 1, unreadable: unreadable + more, untold: untold + more })
  }

  return {
    add(event: LookedAt): void {
      const found = event.raw && findDrift(event.raw, event.encoding ?? undefined)
      count(event, found?.isReadable ?? true)
      if (!found) return
      const { kind, isReadable, drifts } = found
      for (const drift of drifts) addDrift(drift, event, kind)
      if (!isReadable) addDrift(UNREADABLE, event, kind)
    },
    /** What is to be noted. Unreadable events are noted as soon as they are many. */
    sum(): { found: FoundDrift[]; counts: Record<string, Looked> } {
      const found: FoundDrift[] = []
      for (const sum of sums.values()) {
        const told = { ...sum, events: [...sum.events].sort() }
        if (sum.kind !== UNREADABLE.kind) {
          found.push(told)
          continue
        }
        const { events, unreadable, untold } = counts.get(sum.environment) as Looked
        const share = unreadable / events
        if (unreadable < LEAST_UNREADABLE || share < LEAST_SHARE) continue
        found.push({ ...told, count: untold, share })
        counts.set(sum.environment, { events, unreadable, untold: 0 })
      }
      return { found, counts: Object.fromEntries(counts) }
    },
  }
}

const UNREADABLE: Drift = { kind: 'unreadable', path: '', value: '' }
