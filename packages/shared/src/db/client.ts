import { Socket } from 'node:net'
import pg from 'pg'
import type { PrimaryFinder } from './hosts.ts'
import { openingOfTransaction, openingStatement, type SessionLimits } from './session.ts'

const LOOK_EVERY_MS = 500
const BEGIN = /^\s*(begin|start\s+transaction)\b/i
const END = /^\s*(commit|end|rollback)\s*;?\s*$/i

const unlimited = new WeakSet<object>()

/**
 * Lets the statements of a connection take as long as they need, also those that are sent as one text. The connection
 * must be closed afterwards. Behind a pooler, `set` holds for one transaction only.
 */
export async function withoutLimits(connection: Pick<pg.ClientBase, 'query'>): Promise<void> {
  unlimited.add(connection)
  await connection.query('set statement_timeout = 0; set lock_timeout = 0')
}

export type ClientOptions = SessionLimits & {
  /** Only if there are several hosts. */
  readonly finder?: PrimaryFinder | undefined
  /** How long queries may be under way without a pause, ms. The default is 2 s more than a statement may take. */
  readonly answerMs?: number
  /** Called for each new connection, with whether it goes through a pooler. */
  readonly connected?: (isPooled: boolean) => void
}

/**
 * The driver's client with two additions. It replaces the settings that a role or a database brings along, also
 * behind a pooler. And it has a limit for servers that hang: if queries wait 2 s longer than a statement may take,
 * the connection is destroyed and they fail.
 *
 * The driver has `query_timeout` for this, but that makes a timer and a function for each query. V8 puts such
 * functions among its old objects at once (see queue/bullmq/script.ts), which costs a major collection of 3 to 13 ms
 * every second.
 *
 * Behind a pooler in transaction mode, each transaction may run in another session. Therefore nothing is set for a
 * session there, no statement has a name, and each statement outside of a transaction gets its own transaction.
 */
export function limitedClient({ finder, connected, ...limits }: ClientOptions): typeof pg.Client {
  const { answerMs = limits.statementMs + 2_000 } = limits
  return class LimitedClient extends pg.Client {
    readonly #socket: Socket
    #waitingSince: number | undefined
    /** How each transaction begins behind a pooler; undefined without a pooler. */
    #beginning: string | undefined
    #isInTransaction = false

    constructor(config?: pg.ClientConfig) {
      const socket = new Socket()
      super({ ...config, stream: () => socket })
      this.#socket = socket
      this.on('drain', () => {
        this.#waitingSince = undefined
      })
      // Without a listener, an error would end the process. It may come while the connection is still being opened.
      this.on('error', () => finder?.forget())
      const timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref()
      socket.once('close', () => clearInterval(timer))
    }

    // biome-ignore-start lint/suspicious/noExplicitAny: the driver has an overload for each form of its functions.
    override connect(callback?: any): any {
      const opened = this.#open()
      if (!callback) return opened.then(() => this)
      opened.then(
        () => callback(null, this),
        (error: unknown) => callback(error),
      )
    }

    async #open(): Promise<void> {
      this.#waitingSince = performance.now()
      try {
        const place = await finder?.find()
        // The caller has given up meanwhile. Connecting now would reopen the socket.
        if (this.#socket.destroyed) throw new Error('Connection terminated: no host was found in time')
        if (place) Object.assign(this, place)
        await super.connect()
        const processId = (this as unknown as { processID: number }).processID
        const { rows } = await this.#run(openingStatement(processId, limits))
        const { direct, writable, version } = rows[0] as {
          direct: boolean
          writable: boolean
          version: number
        }
        if (finder && !writable) throw Object.assign(new Error('a standby answers'), { code: '25006' })
        if (!direct) this.#beginning = openingOfTransaction(limits, version)
        connected?.(!direct)
      } catch (error) {
        finder?.forget()
        this.#socket.destroy()
        throw error
      }
    }

    #look(): void {
      if (this.#waitingSince === undefined || performance.now() - this.#waitingSince < answerMs) return
      if (unlimited.has(this)) return
      this.#socket.destroy(new Error(`Connection terminated: Postgres has not answered for ${answerMs} ms`))
    }

    override query(config: any, values?: any, callback?: any): any {
      this.#waitingSince ??= performance.now()
      if (this.#beginning !== undefined) return this.#queryPooled(this.#beginning, config, values, callback)
      const isPromised = !callback && typeof values !== 'function' && typeof config?.submit !== 'function'
      if (!isPromised) return super.query(config, values, callback)
      // If the driver made the promise, its callback would be one of the functions that V8 puts among its old objects.
      return this.#run(config, values)
    }

    #run(config: any, values?: any): Promise<any> {
      return new Promise((resolve, reject) => {
        super.query(config, values, (error: Error | null, result: unknown) =>
          error ? reject(error) : resolve(result),
        )
      })
    }

    #queryPooled(beginning: string, config: any, values?: any, callback?: any): Promise<any> | undefined {
      const done = typeof values === 'function' ? values : callback
      const given = typeof values === 'function' ? undefined : values
      const { name: _, ...unnamed } = typeof config === 'string' ? { text: config } : config
      const result = this.#runPooled(beginning, given ? { ...unnamed, values: given } : unnamed)
      if (!done) return result
      result.then(
        (value) => done(null, value),
        (error: unknown) => done(error),
      )
      return undefined
    }

    #runPooled(beginning: string, config: { text: string }): Promise<any> {
      const isInside = this.#isInTransaction
      if (BEGIN.test(config.text)) {
        this.#isInTransaction = true
        // Inside of a transaction, `begin` changes nothing, but its settings would replace those of the first one.
        return this.#run(isInside ? config : { ...config, text: config.text.replace(BEGIN, beginning) })
      }
      if (END.test(config.text)) this.#isInTransaction = false
      if (isInside) return this.#run(config)
      // The three are sent together. If the statement fails, Postgres turns the commit into a rollback.
      const all = Promise.all([this.#run(beginning), this.#run(config), this.#run('commit')])
      return all.then(([, result]) => result)
    }
    // biome-ignore-end lint/suspicious/noExplicitAny: see above.
  } as typeof pg.Client
}
