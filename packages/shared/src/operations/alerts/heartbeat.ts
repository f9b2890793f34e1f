import { describeError, every, type Log, type Metrics } from '../../runtime/index.ts'

const EVERY_MS = 60_000
const LIMIT_MS = 5_000

/** Calls an address each minute while all is well. Who watches it hears of a host that is gone. */
export function startHeartbeat(
  url: string,
  deps: { isWell(): boolean; metrics: Pick<Metrics, 'alertsSent'>; log: Pick<Log, 'warn'> },
  everyMs = EVERY_MS,
): AsyncDisposable {
  async function beat(stop: AbortSignal): Promise<void> {
    if (!deps.isWell()) return
    const signal = AbortSignal.any([stop, AbortSignal.timeout(LIMIT_MS)])
    const answer = await fetch(url, { redirect: 'error', signal })
    await answer.body?.cancel()
    if (!answer.ok) throw new Error(`answered ${answer.status}`)
    deps.metrics.alertsSent.inc({ channel: 'heartbeat', outcome: 'sent' })
  }
  return every(everyMs, beat, {
    onError(error) {
      deps.metrics.alertsSent.inc({ channel: 'heartbeat', outcome: 'failed' })
      const { name, code } = describeError(error)
      deps.log.warn({ error: code ?? name }, 'the heartbeat was not taken')
    },
  })
}
