import { findRedis, type Store, startPostgres, startRedis } from '@sluice/embedded'
import { pingPostgres, placeOf } from '@sluice/shared/db'
import { pingRedis } from '@sluice/shared/queue'
import { describeError, redisAddress, showRedis, UserError } from '@sluice/shared/runtime'
import type { Secrets } from './env-file.ts'
import type { QueueName, ServedStore } from './leftovers.ts'

/** A store that this start serves. Disposing stops it, unless it is external. */
export type OpenedStore = AsyncDisposable & {
  url: string
  store: ServedStore
  /** Describes it to a person. */
  text: string
  /** Whether it answered at the start. */
  answered: boolean
}

type Open = { stateDir: string; secrets: Secrets; stop: AbortController; report(text: string): void }

const STOP_LIMIT_MS = 10_000

/** @param url DATABASE_URL. If it is undefined, the embedded Postgres is started. */
export async function openPostgres(
  url: string | undefined,
  { stateDir, secrets, stop, report }: Open,
): Promise<OpenedStore> {
  if (url) {
    const at = placeOf(url)
    await pingPostgres(url).catch((error) => {
      throw new UserError(
        `Postgres at ${at} does not answer (${describeError(error).message}). ` +
          'Start it or correct DATABASE_URL. If DATABASE_URL is not set, Sluice runs its own Postgres.',
      )
    })
    return external(url, { kind: 'external postgres', at }, `Postgres at ${at}`)
  }
  const password = secrets.SLUICE_POSTGRES_PASSWORD
  const postgres = await startPostgres({ stateDir, password, ping: pingPostgres, report })
  return own(postgres, { kind: 'embedded postgres' }, 'embedded Postgres, data in .sluice/postgres', stop)
}

/** @param url REDIS_URL. If it is undefined, a private Redis is started, provided that a server is installed. */
export async function openRedis(
  url: string | undefined,
  queue: QueueName,
  { stateDir, secrets, stop, report }: Open,
): Promise<OpenedStore | undefined> {
  if (url) {
    const at = showRedis(redisAddress(url))
    const opened = external(url, { kind: 'external redis', at, queue }, `BullMQ on Redis at ${at}`)
    await pingRedis(url).catch((error) => {
      opened.answered = false
      report(
        `Redis at ${at} does not answer (${describeError(error).message}). Until it does, events go to the inbox.`,
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

/** The quote is encoded, because the URL becomes a quoted line of `.sluice/env`. */
function external(url: string, store: ServedStore, text: string): OpenedStore {
  return {
    url: url.replaceAll("'", '%27'),
    store,
    text,
    answered: true,
    [Symbol.asyncDispose]: async () => {},
  }
}

/** If the embedded Postgres dies, this process ends too, because nothing works without it. */
function own(server: Store, store: ServedStore, text: string, stop: AbortController): OpenedStore {
  let stopping = false
  void server.exited.then((code) => {
    if (stopping) return
    stop.abort(
      new UserError(
        `The ${store.kind} stopped unexpectedly (exit code ${code}). Its log is in .sluice/. Start again.`,
      ),
    )
  })
  return {
    url: server.url,
    store,
    text,
    answered: true,
    async [Symbol.asyncDispose]() {
      stopping = true
      await server.stop(STOP_LIMIT_MS)
    },
  }
}

/** If the private Redis dies, it is started again. Events go to the inbox meanwhile. */
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
      report('The private Redis has stopped and is started again. Events go to the inbox meanwhile.')
      running = await start()
      if (running.url === first.url) continue
      throw new UserError('Another program has taken the port of the private Redis. Start again.')
    }
  }
  const watching = watch().catch((error) => stop.abort(error))
  return {
    url: first.url,
    store: { kind: 'private redis', queue },
    text,
    answered: true,
    async [Symbol.asyncDispose]() {
      stopping = true
      await running.stop(STOP_LIMIT_MS)
      await watching
    },
  }
}
