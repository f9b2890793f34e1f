import { type Job, nameOf } from '@sluice/shared/db'
import { rawBytes } from '@sluice/shared/envelope'
import { parseNames, sha256 } from '@sluice/shared/idwise'

/** After its slot a journey rests four times as long as the slot took. */
const REST = 4
const MAX_REST_MS = 5_000
/** After a failure. */
const MIN_DELAY_MS = 100
const QUICK_MS = 50
/** Jobs that one slot lands, if so many come together. */
const SLOT_JOBS = 400
const MAX_DELAY_MS = 60_000
const FORGOTTEN_AFTER_MS = 60_000
const MAX_KNOWN = 1_000

/** Jobs of one group land together or not at all: those of a journey; without one, those of an event or a body. */
export function groupOf({ envelope }: Job): string {
  const names = parseNames(envelope.raw ?? rawBytes(envelope))
  const { journeyId, eventId, normalisedEvent } = names
  if (journeyId !== null) return nameOf({ environment: envelope.env, journeyId })
  if (eventId !== null) return `event ${envelope.env} ${normalisedEvent} ${eventId}`
  return `body ${envelope.env} ${sha256(envelope.raw ?? rawBytes(envelope)).toString('hex')}`
}

/**
 * Journeys (and other groups) that land alone because landing them is slow: another transaction locks them, or very
 * many of their events must be read. One group at a time has a slot and then rests, so that all of them together take
 * at most a fifth of this worker. A group whose slot was quick lands with the others again.
 */
export type SlowJourneys = {
  readonly isEmpty: boolean
  has(group: string): boolean
  add(group: string, tookMs: number): void
  /** @returns how long so many jobs of the group should wait, ms; undefined if its slot may start */
  waitMs(group: string, jobs: number): number | undefined
  /**
   * Starts the slot of a group, for so many jobs.
   *
   * @returns undefined: the caller must end it with `endSlot`; else how long the jobs should wait, ms
   */
  startSlot(group: string, jobs: number): number | undefined
  endSlot(group: string, outcome: { tookMs: number; hasFailed: boolean }): void
}

/** No slot starts before `restsUntil`. Jobs that are put off queue up: the next ones come after `bookedUntil`. */
type Known = { restMs: number; restsUntil: number; bookedUntil: number }

export function createSlowJourneys(now: () => number = () => performance.now()): SlowJourneys {
  const known = new Map<string, Known>()
  let isSlotTaken = false

  function rest(group: string, ms: number): void {
    const restMs = Math.min(MAX_REST_MS, ms)
    const restsUntil = now() + restMs
    const bookedUntil = Math.max(restsUntil, known.get(group)?.bookedUntil ?? 0)
    // Deleted first, so that the map is in the order of the last use.
    known.delete(group)
    known.set(group, { restMs, restsUntil, bookedUntil })
    const [oldest] = known.keys()
    if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
  }

  function delayOf(one: Known, jobs: number): number {
    const at = Math.max(now(), one.restsUntil, Math.min(one.bookedUntil, now() + MAX_DELAY_MS))
    one.bookedUntil = at + (one.restMs * jobs) / SLOT_JOBS
    return at - now() + Math.random() * MIN_DELAY_MS
  }

  function waitMs(group: string, jobs: number): number | undefined {
    const one = known.get(group)
    if (one && (isSlotTaken || now() < one.restsUntil)) return delayOf(one, jobs)
    return isSlotTaken ? MIN_DELAY_MS : undefined
  }

  return {
    get isEmpty() {
      for (const [group, { restsUntil }] of known) {
        if (now() - restsUntil < FORGOTTEN_AFTER_MS) break
        known.delete(group)
      }
      return known.size === 0
    },
    has: (group) => known.has(group),
    add: (group, tookMs) => {
      if (!known.has(group)) rest(group, Math.max(MIN_DELAY_MS, REST * tookMs))
    },
    waitMs,
    startSlot(group, jobs) {
      const ms = waitMs(group, jobs)
      isSlotTaken ||= ms === undefined
      return ms
    },
    endSlot(group, { tookMs, hasFailed }) {
      isSlotTaken = false
      if (!hasFailed && tookMs < QUICK_MS) known.delete(group)
      else rest(group, Math.max(hasFailed ? MIN_DELAY_MS : 0, REST * tookMs))
    },
  }
}

/** Divides items into the groups that land alone, and all others. */
export function divide<T>(
  slowJourneys: SlowJourneys,
  items: readonly T[],
  jobOf: (item: T) => Job | undefined,
): { common: readonly T[]; groups: Map<string, T[]> } {
  if (slowJourneys.isEmpty) return { common: items, groups: new Map() }
  const groups = Map.groupBy(items, (item) => {
    const job = jobOf(item)
    const group = job && groupOf(job)
    return group !== undefined && slowJourneys.has(group) ? group : ''
  })
  const common = groups.get('') ?? []
  groups.delete('')
  return { common, groups }
}
