import pg from 'pg'
import { backoffMs, pause } from '../runtime/backoff.ts'
import type { Log } from '../runtime/log.ts'
import { INBOX_CHANNEL } from './inbox.ts'

/**
 * Calls `wake` for each notification, and once after each (re)connection, for what came in between. Reconnects for
 * ever; behind a pooler in transaction mode nothing is ever heard, and the caller's polling is the net.
 */
export function listenInbox(url: string, wake: () => void, log: Log): AsyncDisposable {
  const stop = new AbortController()
  const running = listen(url, wake, stop.signal, log)
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

async function listen(url: string, wake: () => void, stop: AbortSignal, log: Log): Promise<void> {
  for (let failures = 0; !stop.aborted; failures++) {
    let client: pg.Client | undefined
    try {
      client = new pg.Client({
        connectionString: url,
        application_name: 'sluice listener',
        connectionTimeoutMillis: 2_000,
        keepAlive: true,
      })
      client.on('notification', wake)
      const ended = end(client, stop)
      await client.connect()
      await client.query(`listen ${INBOX_CHANNEL}`)
      failures = 0
      wake()
      await ended
    } catch (error) {
      log.debug({ err: error }, 'cannot listen for new inbox rows; polling goes on')
    }
    await client?.end().catch(() => {})
    await pause(backoffMs(failures, { baseMs: 500, maxMs: 10_000 }), stop)
  }
}

async function end(client: pg.Client, stop: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    client.on('end', resolve)
    client.on('error', () => resolve())
    stop.addEventListener('abort', () => resolve(), { once: true })
  })
}
