import type { Way } from '@sluice/testkit/world'
import { BODIES, type Body } from './bodies.ts'

/**
 * The promises of Sluice, as a map from each body to its end state. Between two settlings deliveries wait, and any body
 * of an event may land first. Settling learns which one has landed, and accepts only one that could.
 */
export type Model = ReturnType<typeof createModel>

export type Letter = {
  state: 'open' | 'replaying' | 'resolved' | 'discarded'
  /** Any of these. */
  reasons: string[]
  replays: number
}

export type Entry = {
  readonly body: Body
  /** Deliveries that were answered 200: all, and those since the last settling. */
  sent: number
  since: number
  /** A job or row waits, or may have been handled since the last settling. */
  waiting: boolean
  /** The queue has the job, so further deliveries count as its redeliveries. */
  known: boolean
  /** The queue has given the job up, and no sweep has found it yet. */
  givenUp: boolean
  landed: boolean
  /** Between these two numbers. They are equal unless there was a dead letter meanwhile. */
  duplicates: { min: number; max: number }
  letter: Letter | undefined
}

export function createModel(way: Way) {
  const entries = BODIES.map(
    (body): Entry => ({
      body,
      sent: 0,
      since: 0,
      waiting: false,
      known: false,
      givenUp: false,
      landed: false,
      duplicates: { min: 0, max: 0 },
      letter: undefined,
    }),
  )
  const repaired = new Set<string>()
  const blocksUse = ({ poison }: Body) => poison !== null && !repaired.has(poison)
  const acted = { replay: 0, discard: 0 }
  // If the database refuses an event in conflict, its journey stays marked until the next fold.

  /** @param hasLanded whether the body is among the events now */
  function settle(hasLanded: (body: Body) => boolean): void {
    for (const group of Map.groupBy(entries, ({ body }) => body.key).values()) {
      const moving = group.filter((entry) => entry.waiting || entry.letter?.state === 'replaying')
      if (!group.some(({ landed }) => landed)) {
        const candidates = moving.filter(({ body }) => !blocksUse(body))
        const winner = candidates.find(({ body }) => hasLanded(body))
        if (candidates.length > 0 && !winner) throw new Error(`not landed: ${candidates[0]?.body.key}`)
        if (winner) land(winner)
      } else {
        for (const entry of group.filter(({ landed }) => landed)) count(entry)
      }
      for (const entry of moving) refuse(entry, moving)
      for (const entry of group) {
        if (entry.givenUp) sweep(entry)
        Object.assign(entry, { since: 0, waiting: false, givenUp: false })
      }
    }
  }

  function land(entry: Entry): void {
    const { sent, since, waiting, letter } = entry
    entry.landed = true
    const replayed = letter?.state === 'replaying'
    // When a job becomes a dead letter, the queue may drop the count of its redeliveries.
    if (way === 'redis' && letter) {
      entry.duplicates = { min: waiting ? since - 1 : 0, max: sent - 1 }
    } else if (waiting) {
      entry.duplicates = { min: since - 1, max: replayed ? since : since - 1 }
    }
  }

  function count({ duplicates, since }: Entry): void {
    duplicates.min += since
    duplicates.max += since
  }

  function refuse(entry: Entry, moving: readonly Entry[]): void {
    const { body, landed, letter } = entry
    const bury = (...reasons: string[]) => {
      entry.letter = { state: 'open', reasons, replays: letter?.replays ?? 0 }
    }
    if (blocksUse(body)) {
      // If another body of the event waits too, or has landed, its key may show the conflict first.
      const isOfEvent = (other: Entry) => other !== entry && other.body.key === body.key
      const hasCompany =
        moving.some((other) => !blocksUse(other.body)) ||
        entries.some((other) => other.landed && isOfEvent(other))
      bury('rejected_by_database', ...(hasCompany ? ['conflict'] : []))
    } else if (!landed) bury('conflict')
    else if (letter?.state === 'replaying') letter.state = 'resolved'
  }

  function sweep(entry: Entry): void {
    entry.letter = { state: 'open', reasons: ['worker_crashed'], replays: entry.letter?.replays ?? 0 }
    entry.known = false
  }

  return {
    entries,
    acted,
    settle,
    sent(body: Body): void {
      const entry = entries.find((each) => each.body === body) as Entry
      entry.sent++
      entry.since++
      if (way === 'redis' && entry.known) return
      entry.known = true
      entry.waiting = true
    },
    repair: (reference: string) => repaired.add(reference),
    act(letter: Letter, action: 'replay' | 'discard'): void {
      acted[action]++
      letter.state = action === 'replay' ? 'replaying' : 'discarded'
      if (action === 'replay') letter.replays++
    },
    giveUp(entry: Entry): void {
      entry.waiting = false
      entry.givenUp = true
    },
  }
}
