import type pg from 'pg'
import { backoffMs } from '../runtime/backoff.ts'
import { every } from '../runtime/every.ts'
import type { Log } from '../runtime/log.ts'
import { release } from '../runtime/release.ts'
import { limitedClient } from './client.ts'
import { createPrimaryFinder, hostsIn } from './hosts.ts'
import { INBOX_CHANNEL } from './inbox-insert.ts'

const RECONNECT_DELAY = { baseMs: 500, maxMs: 10_000 }

/**
 * Calls `wake` for each notification, and once after each connection, since rows may have come before it. Reconnects
 * for ever. Behind a pooler it does not listen, because the session may serve another client a moment later: the caller
 * has to poll.
 */
export function listenInbox(url: string, wake: () => void, log: Log): AsyncDisposable {
  const pooled = new AbortController()
  const Client = limitedClient({
    statementMs: 5_000,
    lockMs: 3_000,
    idleInTransactionMs: 15_000,
    finder: createPrimaryFinder(url),
    connected: (isPooled) => isPooled && pooled.abort(),
  })
  let failures = 0

  /** Resolves when the connection has ended. */
  async function listen(stop: AbortSignal): Promise<void> {
    const client = new Client({
      connectionString: hostsIn(url)[0],
      application_name: `sluice listener ${release()}`,
      connectionTimeoutMillis: 2_000,
      keepAlive: true,
    })
    client.on('notification', wake)
    const ended = endOf(client, stop)
    try {
      await client.connect()
      if (stop.aborted) return
      await client.query(`listen ${INBOX_CHANNEL}`)
      failures = 0
      wake()
      await ended
    } finally {
      await client.end().catch(() => {})
    }
  }

  return every(() => backoffMs(failures++, RECONNECT_DELAY), listen, {
    signal: pooled.signal,
    onError: (error) => log.debug({ err: error }, 'cannot listen for new inbox rows; polling goes on'),
  })
}

async function endOf(client: pg.Client, stop: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    client.on('end', resolve)
    client.on('error', () => resolve())
    stop.addEventListener('abort', () => resolve(), { once: true })
  })
}
