import { type Job, nameOf } from '@sluice/shared/db'
import { rawBytes } from '@sluice/shared/envelope'
import { parseNames, sha256 } from '@sluice/shared/idwise'

/** A journey that takes so long for each landing waits four times as long for its next one. */
const REST = 4
const MAX_REST_MS = 5_000
/** After a failure. */
const MIN_DELAY_MS = 100
const QUICK_MS = 50
/** Deliveries that one turn lands, as many as come together. */
const TURN = 400
const MAX_DELAY_MS = 60_000
const FORGOTTEN_AFTER_MS = 60_000
const MAX_KNOWN = 1_000

/** Which deliveries land together or not at all: those of a journey; others by their event or body. */
export function groupOf({ envelope }: Job): string {
  const names = parseNames(envelope.raw ?? rawBytes(envelope))
  const { journeyId, eventId, normalisedEvent } = names
  if (journeyId !== null) return nameOf({ environment: envelope.env, journeyId })
  if (eventId !== null) return `event ${envelope.env} ${normalisedEvent} ${eventId}`
  return `body ${envelope.env} ${sha256(envelope.raw ?? rawBytes(envelope)).toString('hex')}`
}

/**
 * Journeys that land apart from all others, since landing them takes long: somebody holds a lock of theirs, or very many
 * of their events must be read. One at a time has a turn, and then waits so long that it never takes more than a fifth of
 * this worker. One whose turn was quick again is forgotten.
 */
export type Apart = {
  /** Nothing needs to be looked for. */
  readonly isEmpty: boolean
  has(group: string): boolean
  add(group: string, tookMs: number): void
  /** @returns how long so many deliveries of the group should wait, ms; undefined where its turn may begin */
  waitMs(group: string, deliveries: number): number | undefined
  /**
   * Gives the group its turn, for so many deliveries.
   *
   * @returns undefined: it must end with `ended`; else how long these should wait, ms
   */
  begin(group: string, deliveries: number): number | undefined
  ended(group: string, outcome: { tookMs: number; hasFailed: boolean }): void
}

/** `restsUntil`: no turn before; `bookedUntil`: what is put off comes after what was put off before. */
type Known = { restMs: number; restsUntil: number; bookedUntil: number }

export function createApart(now: () => number = () => performance.now()): Apart {
  const known = new Map<string, Known>()
  let isTurnTaken = false

  function rest(group: string, ms: number): void {
    const restMs = Math.min(MAX_REST_MS, ms)
    const restsUntil = now() + restMs
    const bookedUntil = Math.max(restsUntil, known.get(group)?.bookedUntil ?? 0)
    // The one that was used last is the last one to be forgotten.
    known.delete(group)
    known.set(group, { restMs, restsUntil, bookedUntil })
    const [oldest] = known.keys()
    if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
  }

  function delayOf(one: Known, deliveries: number): number {
    const at = Math.max(now(), one.restsUntil, Math.min(one.bookedUntil, now() + MAX_DELAY_MS))
    one.bookedUntil = at + (one.restMs * deliveries) / TURN
    return at - now() + Math.random() * MIN_DELAY_MS
  }

  function waitMs(group: string, deliveries: number): number | undefined {
    const one = known.get(group)
    if (one && (isTurnTaken || now() < one.restsUntil)) return delayOf(one, deliveries)
    return isTurnTaken ? MIN_DELAY_MS : undefined
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
    begin(group, deliveries) {
      const ms = waitMs(group, deliveries)
      isTurnTaken ||= ms === undefined
      return ms
    },
    ended(group, { tookMs, hasFailed }) {
      isTurnTaken = false
      if (!hasFailed && tookMs < QUICK_MS) known.delete(group)
      else rest(group, Math.max(hasFailed ? MIN_DELAY_MS : 0, REST * tookMs))
    },
  }
}

/** By group, those that land apart, and the others. */
export function divide<T>(
  apart: Apart,
  items: readonly T[],
  readInboxJob: (item: T) => Job | undefined,
): { common: readonly T[]; groups: Map<string, T[]> } {
  if (apart.isEmpty) return { common: items, groups: new Map() }
  const groups = Map.groupBy(items, (item) => {
    const delivery = readInboxJob(item)
    const group = delivery && groupOf(delivery)
    return group !== undefined && apart.has(group) ? group : ''
  })
  const common = groups.get('') ?? []
  groups.delete('')
  return { common, groups }
}
