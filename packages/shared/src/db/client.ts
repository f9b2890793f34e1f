import { Socket } from 'node:net'
import pg from 'pg'
import type { PrimaryFinder } from './hosts.ts'
import { openingOfTransaction, openingStatement, type SessionLimits } from './session.ts'

const LOOK_EVERY_MS = 500
const BEGIN = /^\s*(begin|start\s+transaction)\b/i
const END = /^\s*(commit|end|rollback)\s*;?\s*$/i

export type ClientOptions = SessionLimits & {
  /** Where there are several hosts. */
  readonly finder?: PrimaryFinder | undefined
  /** The longest time from a query to the moment when none is under way, ms: 2 s more than a statement may take. */
  readonly answerMs?: number
  /** Hears of each new connection whether a pooler is in between. */
  readonly connected?: (isPooled: boolean) => void
}

/**
 * The driver's client, with settings of its own instead of those that role and database bring along, behind a pooler too,
 * and with a limit for servers that hang: a connection on which queries wait 2 s longer than a statement may take is
 * destroyed, and they fail.
 *
 * The driver's own `query_timeout` makes a timer and a function for each query, and V8 makes such functions among its old
 * objects at once (see queue/script.ts): under load they bring about a major collection of 3 to 13 ms every second.
 *
 * Behind a pooler in transaction mode each transaction may run in another session. So nothing is set for the session there,
 * no statement has a name, and a statement outside of a transaction is put into one.
 */
export function limitedClient({ finder, connected, ...limits }: ClientOptions): typeof pg.Client {
  const { answerMs = limits.statementMs + 2_000 } = limits
  return class LimitedClient extends pg.Client {
    readonly #socket: Socket
    #waitingSince: number | undefined
    /** Behind a pooler: what each transaction begins with. */
    #beginning: string | undefined
    #isInTransaction = false

    constructor(config?: pg.ClientConfig) {
      const socket = new Socket()
      super({ ...config, stream: () => socket })
      this.#socket = socket
      this.on('drain', () => {
        this.#waitingSince = undefined
      })
      // Unheard, it would end the process, also while the connection is still being set up.
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
        // Who asked has given up; connecting anew would bring the socket back to life.
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
      this.#socket.destroy(new Error(`Connection terminated: Postgres has not answered for ${answerMs} ms`))
    }

    override query(config: any, values?: any, callback?: any): any {
      this.#waitingSince ??= performance.now()
      if (this.#beginning !== undefined) return this.#queryPooled(this.#beginning, config, values, callback)
      const isPromised = !callback && typeof values !== 'function' && typeof config?.submit !== 'function'
      if (!isPromised) return super.query(config, values, callback)
      // Given by the driver itself, the callback would be one of those functions.
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
      const told = typeof values === 'function' ? values : callback
      const given = typeof values === 'function' ? undefined : values
      const { name: _, ...unnamed } = typeof config === 'string' ? { text: config } : config
      const result = this.#runPooled(beginning, given ? { ...unnamed, values: given } : unnamed)
      if (!told) return result
      result.then(
        (value) => told(null, value),
        (error: unknown) => told(error),
      )
      return undefined
    }

    #runPooled(beginning: string, config: { text: string }): Promise<any> {
      const isInside = this.#isInTransaction
      if (BEGIN.test(config.text)) {
        this.#isInTransaction = true
        // One more `begin` changes nothing; its settings would undo those that the first one has made.
        return this.#run(isInside ? config : { ...config, text: config.text.replace(BEGIN, beginning) })
      }
      if (END.test(config.text)) this.#isInTransaction = false
      if (isInside) return this.#run(config)
      // They travel together. A statement that fails makes a rollback of the commit.
      const all = Promise.all([this.#run(beginning), this.#run(config), this.#run('commit')])
      return all.then(([, result]) => result)
    }
    // biome-ignore-end lint/suspicious/noExplicitAny: see above.
  } as typeof pg.Client
}
