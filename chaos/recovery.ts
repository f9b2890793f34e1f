import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { inboxBacklog } from '@sluice/shared/db'
import { LIVE_TOKEN, type World } from './world.ts'

export type Recovery = {
  /** From the healing on, ms; undefined where it did not come within the limit. */
  readonly ms: number | undefined
  /** Events of our own that the sender knows nothing of. */
  readonly probes: readonly string[]
}

const LIMIT_MS = 120_000
const LANDS_WITHIN_MS = 1_000
const EVERY_MS = 50

/**
 * Waits until no more events wait than have just arrived, and a new one lands within a second.
 *
 * @param slack how many events may wait: those that arrive while one looks
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

/** @returns what is left after two minutes at most; 0 is what should come out. */
export async function drain(world: World): Promise<number> {
  const limit = Date.now() + LIMIT_MS
  for (;;) {
    const left = await waiting(world)
    if (left === 0 || Date.now() > limit) return left
    await pause(EVERY_MS)
  }
}

/**
 * Events that wait anywhere, failed jobs that nobody has swept and counts on their way to the rows included; infinitely
 * many where a store does not tell.
 */
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
    // Not yet.
  }
  return false
}
