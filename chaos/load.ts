import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { parseMix, type Summary, simulate } from '@sluice/simulator'
import { LIVE_TOKEN, SANDBOX_TOKEN, type World } from './world.ts'

export type Load = {
  readonly ledger: string
  /** Resolves when every event has been delivered or given up. */
  readonly sent: Promise<Summary>
  /** Statuses that requests without credentials were answered with. */
  readonly strangers: { readonly statuses: ReadonlySet<number>; readonly eventIds: readonly string[] }
}

/** Five, ten and fifteen minutes become 1.25, 2.5 and 3.75 s: what an outage refused comes again in the same run. */
const TIME_SCALE = 240
const CONNECTIONS = 32
const STRANGER_EVERY_MS = 250

/** Plays IDWise with all that befalls its webhooks, and beside it somebody without credentials. */
export function startLoad(
  world: World,
  { seed, rate, seconds }: { seed: string; rate: number; seconds: number },
): Load {
  const ledger = join(world.dir, 'ledger')
  const sending = simulate({
    url: world.door.url,
    credentials: {
      live: [{ kind: 'bearer', token: LIVE_TOKEN }],
      sandbox: [{ kind: 'bearer', token: SANDBOX_TOKEN }],
    },
    seed,
    mix: parseMix('all'),
    ratePerSecond: rate,
    connections: CONNECTIONS,
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
  // Heard at once, or a failure before anybody waits for it would end the process.
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
