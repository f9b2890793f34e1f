import { findRedis, type Store, startPostgres, startRedis } from '@sluice/embedded'
import { pingPostgres } from '@sluice/shared/db'
import { pingRedis } from '@sluice/shared/queue'
import { describeError, every, UserError } from '@sluice/shared/runtime'
import type { Secrets } from './env-file.ts'
import { type QueueName, type ServedStore, whereIs } from './leftovers.ts'

/** A store that this start serves; disposing stops it where it is our own. */
export type OpenedStore = AsyncDisposable & {
  url: string
  store: ServedStore
  /** For the person. */
  text: string
  /** Whether it has answered by now. */
  answers: boolean
}

type Open = { stateDir: string; secrets: Secrets; stop: AbortController; report(text: string): void }

const STOP_LIMIT_MS = 10_000
const ASK_EVERY_MS = 2_000

/** @param url the Postgres that DATABASE_URL names; without it the embedded one */
export async function openPostgres(
  url: string | undefined,
  { stateDir, secrets, stop, report }: Open,
): Promise<OpenedStore> {
  if (url) {
    await pingPostgres(url).catch((error) => {
      throw new UserError(
        `Postgres at ${whereIs(url)} does not answer (${describeError(error).message}). Start it or correct DATABASE_URL; unset, Sluice runs its own.`,
      )
    })
    return external(url, { kind: 'external postgres', at: whereIs(url) }, `Postgres at ${whereIs(url)}`)
  }
  const password = secrets.SLUICE_POSTGRES_PASSWORD
  const postgres = await startPostgres({ stateDir, password, ping: pingPostgres, report })
  return own(postgres, { kind: 'embedded postgres' }, 'embedded Postgres, data in .sluice/postgres', stop)
}

/** @param url the Redis that REDIS_URL names; without it a private one where a server is installed, else none */
export async function openRedis(
  url: string | undefined,
  queue: QueueName,
  { stateDir, secrets, stop, report }: Open,
): Promise<OpenedStore | undefined> {
  if (url) {
    const at = whereIs(url)
    const opened = external(url, { kind: 'external redis', at, queue }, `BullMQ on Redis at ${at}`)
    await pingRedis(url).catch((error) => {
      opened.answers = false
      report(
        `Redis at ${at} does not answer (${describeError(error).message}); until it does, events go to the inbox.`,
      )
    })
    return opened
  }
  const found = await findRedis()
  if ('reason' in found) return undefined
  const password = secrets.SLUICE_REDIS_PASSWORD
  const start = () => startRedis({ stateDir, password, binary: found.path, ping: pingRedis, report })
  const text = `BullMQ on a private Redis ${found.version}, data in .sluice/redis`
  return restarted(await start(), start, { queue, text, stop, report })
}

/** Calls `reached` once the Redis at the URL answers, asking every two seconds. */
export function whenRedisAnswers(url: string, reached: () => Promise<void>): AsyncDisposable {
  const answered = new AbortController()
  async function ask(): Promise<void> {
    await pingRedis(url)
    answered.abort()
    await reached()
  }
  // If `reached` fails, that is not worth ending for: the next start only does not know of it.
  return every(ASK_EVERY_MS, ask, { pauseFirst: true, signal: answered.signal, onError() {} })
}

/** The URL as a quoted line of `.sluice/env` can hold it. */
function external(url: string, store: ServedStore, text: string): OpenedStore {
  return {
    url: url.replaceAll("'", '%27'),
    store,
    text,
    answers: true,
    [Symbol.asyncDispose]: async () => {},
  }
}

/** A Postgres of our own that dies by itself takes the process with it: nothing works without. */
function own(server: Store, store: ServedStore, text: string, stop: AbortController): OpenedStore {
  let stopping = false
  void server.exited.then((code) => {
    if (stopping) return
    stop.abort(
      new UserError(
        `The ${store.kind} stopped by itself (exit code ${code}). Its log lies in .sluice/; start again.`,
      ),
    )
  })
  return {
    url: server.url,
    store,
    text,
    answers: true,
    async [Symbol.asyncDispose]() {
      stopping = true
      await server.stop(STOP_LIMIT_MS)
    },
  }
}

/** A Redis of our own that dies is started again; events go to the inbox meanwhile. */
function restarted(
  first: Store,
  start: () => Promise<Store>,
  {
    queue,
    text,
    stop,
    report,
  }: { queue: QueueName; text: string; stop: AbortController; report(text: string): void },
): OpenedStore {
  let running = first
  let stopping = false
  async function watch(): Promise<void> {
    for (;;) {
      await running.exited
      if (stopping) return
      report('The private Redis has stopped; starting it again. Events go to the inbox meanwhile.')
      running = await start()
      if (running.url === first.url) continue
      throw new UserError('The port of the private Redis is taken by another program now. Start again.')
    }
  }
  const watching = watch().catch((error) => stop.abort(error))
  return {
    url: first.url,
    store: { kind: 'private redis', queue },
    text,
    answers: true,
    async [Symbol.asyncDispose]() {
      stopping = true
      await running.stop(STOP_LIMIT_MS)
      await watching
    },
  }
}
