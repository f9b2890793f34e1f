import {
  type AlertSettings,
  alertText,
  conditionsOf,
  createVoice,
  noteConditions,
  readState,
  recordTold,
  recoveryText,
  type Spoken,
  type State,
  sendDue,
  startHeartbeat,
  storageConditions,
} from '@sluice/shared/operations'
import { describeError, every } from '@sluice/shared/runtime'
import type { Duty, GaugeDutyDeps } from '../duty.ts'

const EVERY_MS = 10_000
const SEND_EVERY_MS = 5_000
/** A state that is older says nothing about now. */
const FRESH_MS = 45_000

/**
 * Finds what people must hear of, and tells them. Finding needs no lease: any number of schedulers write the same
 * incident. Sending has a loop of its own, so that a channel that hangs holds no duty up.
 */
export function startAlerts(
  { db, admin, sources, metrics, log }: GaugeDutyDeps,
  { channels, heartbeat }: AlertSettings,
): { duty: Duty } & AsyncDisposable {
  const stack = new AsyncDisposableStack()
  let state: State | undefined
  const fresh = () => (state && Date.now() - state.at.getTime() < FRESH_MS ? state : undefined)

  if (channels.length > 0) {
    const sending = { channels, metrics, log }
    stack.use(
      every(SEND_EVERY_MS, (stop) => sendDue(db, sending, { stop }), {
        onError: (error) => log.debug({ error: describeError(error) }, 'alerts are not sent yet'),
      }),
    )
    stack.use(
      createVoice(sending, {
        look: () => postgresDown(fresh()),
        recovered: (last, at) => recoveryText(last, { openedAt: last.since, resolvedAt: at }),
        record: (last) => recordTold(db.pool, { ...last, openedAt: last.since }),
      }),
    )
  }
  if (heartbeat !== undefined) {
    stack.use(startHeartbeat(heartbeat, { isWell: () => isWell(fresh()), metrics, log }))
  }
  return {
    duty: {
      name: 'alerts',
      everyMs: EVERY_MS,
      async run() {
        state = await readState({ db, queue: admin, sources }, { before: state })
        if (state.figures.stores.postgres !== 'up') return
        const { found, held } = conditionsOf(state)
        await noteConditions(db, { found: [...found, ...(await storageConditions(db))], held })
      },
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

const isWell = (state: State | undefined) => state !== undefined && state.level !== 'fail'

/** Without Postgres there is no table. If Redis is away as well, the ingests tell it, which know what they refuse. */
function postgresDown(state: State | undefined): Spoken | undefined {
  const { postgres, redis } = state?.figures.stores ?? {}
  const since = state?.since.get('postgres_down')
  if (postgres !== 'down' || redis !== 'up' || !since) return undefined
  return {
    name: 'store-down',
    subject: 'postgres',
    severity: 'page',
    since: since.at,
    peak: null,
    text: alertText('store-down', 'Postgres does not answer: events wait in Redis, and none is refused.'),
  }
}
