import type pg from 'pg'
import { backoffMs, pause } from '../runtime/backoff.ts'
import type { Log } from '../runtime/log.ts'
import { limitedClient } from './client.ts'
import { createPrimaryFinder, hostsIn } from './hosts.ts'
import { INBOX_CHANNEL } from './inbox-insert.ts'

/**
 * Calls `wake` for each notification, and once after each (re)connection, for what came in between. Reconnects for
 * ever. Behind a pooler it does not listen, since the session may be somebody else's a moment later: the caller polls.
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
  const finder = createPrimaryFinder(url)
  let isPooled = false
  const Client = limitedClient({
    statementMs: 5_000,
    lockMs: 3_000,
    idleInTransactionMs: 15_000,
    finder,
    connected(pooled) {
      isPooled = pooled
    },
  })
  for (let failures = 0; !stop.aborted && !isPooled; failures++) {
    let client: pg.Client | undefined
    try {
      client = new Client({
        connectionString: hostsIn(url)[0],
        application_name: 'sluice listener',
        connectionTimeoutMillis: 2_000,
        keepAlive: true,
      })
      client.on('notification', wake)
      const ended = end(client, stop)
      await client.connect()
      if (!isPooled) {
        await client.query(`listen ${INBOX_CHANNEL}`)
        failures = 0
        wake()
        await ended
      }
    } catch (error) {
      log.debug({ err: error }, 'cannot listen for new inbox rows; polling goes on')
    }
    await client?.end().catch(() => {})
    if (!isPooled) await pause(backoffMs(failures, { baseMs: 500, maxMs: 10_000 }), stop)
  }
}

async function end(client: pg.Client, stop: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    client.on('end', resolve)
    client.on('error', () => resolve())
    stop.addEventListener('abort', () => resolve(), { once: true })
  })
}
