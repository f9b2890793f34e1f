import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Summary } from '@sluice/simulator'
import { LIVE_TOKEN, SANDBOX_TOKEN } from '@sluice/testkit/settings'
import { playIdwise } from '@sluice/testkit/simulation'
import type { World } from './world.ts'

export type Load = {
  readonly ledger: string
  /** Resolves when every event has been delivered or given up. */
  readonly sent: Promise<Summary>
  /** The events that were sent without credentials, and the statuses of their answers. */
  readonly strangers: { readonly statuses: ReadonlySet<number>; readonly eventIds: readonly string[] }
}

/** 5, 10 and 15 minutes become 1.25, 2.5 and 3.75 s, so that a refused event is sent again in the same run. */
const TIME_SCALE = 240
const STRANGER_EVERY_MS = 250

/** Plays IDWise, and a stranger who has no credentials. */
export function startLoad(
  world: World,
  { seed, rate, seconds }: { seed: string; rate: number; seconds: number },
): Load {
  const ledger = join(world.dir, 'ledger')
  const sending = playIdwise({
    url: world.door.url,
    seed,
    ratePerSecond: rate,
    timeoutMs: 5_000,
    timeScale: TIME_SCALE,
    durationMs: seconds * 1000,
    ledgerPath: ledger,
  })
  const statuses = new Set<number>()
  const eventIds: string[] = []
  const timer = setInterval(() => {
    eventIds.push(knock(world.door.url, eventIds.length, (status) => statuses.add(status)))
  }, STRANGER_EVERY_MS)

  const sent = sending.finally(() => clearInterval(timer))
  // Otherwise a failure that comes before `sent` is awaited would end the process.
  sent.catch(() => {})

  return {
    ledger,
    sent,
    strangers: { statuses, eventIds },
  }
}

/** Posts an event without credentials, or with wrong ones. @returns its id */
function knock(url: string, n: number, answered: (status: number) => void): string {
  const eventId = `stranger-${randomUUID()}`
  const token = [undefined, 'Bearer wrong', `Bearer ${LIVE_TOKEN}x`, `Bearer ${SANDBOX_TOKEN}`][n % 4]
  fetch(`${url}/webhooks/idwise/live`, {
    method: 'POST',
    headers: token === undefined ? {} : { authorization: token },
    body: JSON.stringify({ event: 'Finished Journey', body: { eventId, journeyId: eventId } }),
    signal: AbortSignal.timeout(3_000),
  }).then(
    ({ status }) => answered(status),
    () => {},
  )
  return eventId
}
