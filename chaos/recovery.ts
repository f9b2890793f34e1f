import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { inboxBacklog } from '@sluice/shared/db'
import { LIVE_TOKEN } from '@sluice/testkit/settings'
import type { World } from './world.ts'

export type Recovery = {
  /** Since the healing, ms; undefined if it took longer than the limit. */
  readonly ms: number | undefined
  /** The ids of events that were sent to see how soon one lands. They are not in the ledger. */
  readonly probes: readonly string[]
}

const LIMIT_MS = 120_000
const LANDS_WITHIN_MS = 1_000
const EVERY_MS = 50

/**
 * Waits until almost no events wait, and a new one lands within a second.
 *
 * @param slack how many events may wait: under load some always do
 */
export async function awaitRecovery(world: World, slack: number): Promise<Recovery> {
  const began = Date.now()
  const probes: string[] = []
  while (Date.now() - began < LIMIT_MS) {
    if ((await waiting(world)) <= slack) {
      const eventId = `probe-${randomUUID()}`
      probes.push(eventId)
      if (await landsSoon(world, eventId)) return { ms: Date.now() - began, probes }
    }
    await pause(EVERY_MS)
  }
  return { ms: undefined, probes }
}

/** Waits until no event waits, two minutes at most. @returns how many still wait */
export async function drain(world: World): Promise<number> {
  const limit = Date.now() + LIMIT_MS
  for (;;) {
    const left = await waiting(world)
    if (left === 0 || Date.now() > limit) return left
    await pause(EVERY_MS)
  }
}

/** Events, failed jobs and counts of redeliveries that wait in either store; infinitely many if one does not answer. */
async function waiting({ db, admin, uncounted }: World): Promise<number> {
  try {
    const { waiting, active, delayed, failed } = await admin.counts()
    const inbox = await inboxBacklog(db.pool)
    return waiting + active + delayed + failed + inbox.waiting + (await uncounted())
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

async function landsSoon({ db, door }: World, eventId: string): Promise<boolean> {
  const signal = AbortSignal.timeout(LANDS_WITHIN_MS)
  try {
    const answer = await fetch(`${door.url}/webhooks/idwise/live`, {
      method: 'POST',
      headers: { authorization: `Bearer ${LIVE_TOKEN}` },
      body: JSON.stringify({ event: 'Finished Journey', body: { eventId, journeyId: eventId } }),
      signal,
    })
    while (answer.ok && !signal.aborted) {
      const { rowCount } = await db.pool.query('select 1 from events where event_id = $1', [eventId])
      if (rowCount === 1) return true
      await pause(20)
    }
  } catch {
    // It has not recovered yet.
  }
  return false
}
