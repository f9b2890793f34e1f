import { type Db, schemaState } from '@sluice/shared/db'
import { describeError, every, type Log } from '@sluice/shared/runtime'

const EVERY_MS = 2_000

type SchemaWatch = AsyncDisposable & {
  /** For the operator: the state of the schema, or why Postgres does not answer. */
  readonly state: string
  readonly isUsable: boolean
}

/**
 * Looks every 2 s whether the inbox can be written, and logs when that changes. The store checks look once a minute,
 * with a new session each time: too late for a load balancer, and too costly to be done more often.
 */
export function watchSchema(db: Pick<Db, 'pool'>, log: Log, everyMs = EVERY_MS): SchemaWatch {
  let state = 'unknown'
  let told: string | undefined
  function note(now: string): void {
    // While it is down, its reason changes from look to look.
    const line = advice(now)
    if (line !== told) log[isUsable(now) ? 'info' : 'warn']({ postgres: now }, line)
    state = now
    told = line
  }
  const watching = every(everyMs, async () => note(await schemaState(db.pool)), {
    onError: (error) => note(`down (${describeError(error).message})`),
  })
  return {
    get state() {
      return state
    },
    get isUsable() {
      return isUsable(state)
    },
    [Symbol.asyncDispose]: () => watching[Symbol.asyncDispose](),
  }
}

const isUsable = (state: string) => state === 'current' || state === 'newer'

function advice(state: string): string {
  if (state === 'missing' || state === 'older')
    return 'the database is not migrated: run `npx sluice migrate`'
  return isUsable(state) ? 'Postgres answers' : 'Postgres does not answer'
}
