import { Socket } from 'node:net'
import pg from 'pg'

const LOOK_EVERY_MS = 500

/**
 * The driver's client with a limit for servers that hang: a connection on which queries wait for so long is destroyed,
 * and they fail.
 *
 * The driver's own `query_timeout` makes a timer and a function for each query, and V8 makes such functions among its old
 * objects at once (see queue/script.ts): under load they bring about a major collection of 3 to 13 ms every second.
 *
 * @param answerMs the longest time from a query to the moment when none is under way, checked every half second
 */
export function limitedClient(answerMs: number): typeof pg.Client {
  return class LimitedClient extends pg.Client {
    readonly #socket: Socket
    #waitingSince: number | undefined

    constructor(config?: pg.ClientConfig) {
      const socket = new Socket()
      super({ ...config, stream: () => socket })
      this.#socket = socket
      this.on('drain', () => {
        this.#waitingSince = undefined
      })
      const timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref()
      socket.once('close', () => clearInterval(timer))
    }

    #look(): void {
      if (this.#waitingSince === undefined || performance.now() - this.#waitingSince < answerMs) return
      this.#socket.destroy(new Error(`Connection terminated: Postgres has not answered for ${answerMs} ms`))
    }

    // biome-ignore-start lint/suspicious/noExplicitAny: the driver has an overload for each of its query's forms.
    override query(config: any, values?: any, callback?: any): any {
      this.#waitingSince ??= performance.now()
      const isPromised = !callback && typeof values !== 'function' && typeof config?.submit !== 'function'
      if (!isPromised) return super.query(config, values, callback)
      // Given by the driver itself, the callback would be one of those functions.
      return new Promise((resolve, reject) => {
        super.query(config, values, (error: Error | null, result: unknown) =>
          error ? reject(error) : resolve(result),
        )
      })
    }
    // biome-ignore-end lint/suspicious/noExplicitAny: see above.
  } as typeof pg.Client
}
