import type { AddressInfo } from 'node:net'
import { createDb } from '@sluice/shared/db'
import { createQueueAdmin } from '@sluice/shared/queue'
import { type Health, type Log, listenError } from '@sluice/shared/runtime'
import { createApp } from './app.ts'
import { type ConsoleConfig, canSignIn } from './config.ts'
import { createLive } from './live.ts'
import { createReadNow, type Now } from './now.ts'
import { createPeople } from './sign-in/credentials.ts'

const READ_LIMIT_MS = 2_000
const ACT_LIMIT_MS = 10_000

/** A state that is older is not told. */
const TOLD_MS = 120_000

/**
 * Opens the stores, then serves pages and API. It starts with any store down.
 *
 * @param deps.ingestUrl where the ingest listens, if that is known
 * @returns the port that it listens on. Disposing ends the live pages first.
 */
export async function startConsole(
  config: ConsoleConfig,
  { log, ingestUrl }: { log: Log; ingestUrl?: string },
): Promise<
  AsyncDisposable & {
    port: number
    /** Asked by few: it has the state read again, for whoever asks next. */
    health(): Health
    /** Who may sign in from now on. Sessions and remembered credentials of entries that are gone end. */
    useCredentials(credentials: ConsoleConfig['credentials']): void
  }
> {
  await using stack = new AsyncDisposableStack()
  const readDb = stack.use(
    createDb(config.readUrl, { max: 4, statementMs: READ_LIMIT_MS, log, name: 'console', readOnly: true }),
  )
  // Of its own: pages that read much must not look like a database that is away. And a standby may lag.
  const stateDb = stack.use(
    createDb(config.databaseUrl, {
      max: 2,
      statementMs: READ_LIMIT_MS,
      log,
      name: 'console',
      readOnly: true,
    }),
  )
  const actDb = stack.use(
    createDb(config.databaseUrl, { max: 2, statementMs: ACT_LIMIT_MS, log, name: 'console' }),
  )
  const queue = config.queue && stack.use(createQueueAdmin(config.queue, log))
  const { sources } = config
  const common = { queue, location: config.queue, sources }
  const live = createLive(log)
  const readNow = createReadNow({ queue, db: stateDb, sources })
  let closing = false
  // Pages say what a store that is away keeps from them, so no store is needed.
  const isReady = () => !closing && canSignIn(config)
  let now: Now | undefined
  function health(): Health {
    readNow().then(
      (read) => {
        now = read
      },
      () => {},
    )
    const isFresh = now && Date.now() - now.state.at.getTime() < TOLD_MS
    const { at, level, sentence, figures } = (isFresh && now?.state) || {}
    return { ready: isReady(), ...(figures && { ...figures.stores, state: { at, level, sentence } }) }
  }
  const people = createPeople(config.credentials)
  const app = await createApp({
    config,
    people,
    stores: { ...common, db: readDb },
    actStores: { ...common, db: actDb },
    live,
    readNow,
    log,
    health: () => ({ ready: isReady() }),
    ingestUrl,
  })
  await app.listen({ host: config.host, port: config.port }).catch((error: unknown) => {
    throw listenError(error, config.port, 'CONSOLE_PORT', 'CONSOLE_HOST')
  })
  stack.defer(async () => {
    closing = true
    await live[Symbol.asyncDispose]()
    await app.close()
  })
  const { port } = app.server.address() as AddressInfo
  log.info({ host: config.host, port }, 'console listens')
  const running = stack.move()
  return { port, health, useCredentials: people.use, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
