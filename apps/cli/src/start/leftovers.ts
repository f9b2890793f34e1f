import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeWhole } from '@sluice/embedded'
import { errorCode } from '@sluice/shared/runtime'

/** A store as a person knows it. `at` is `host:port/database`, never with credentials. */
export type ServedStore =
  | { kind: 'embedded postgres' }
  | { kind: 'external postgres'; at: string }
  | { kind: 'private redis'; queue: QueueName }
  | { kind: 'external redis'; at: string; queue: QueueName }

/** One Redis can hold several queues, and a queue can have more shards than a start serves. */
export type QueueName = { prefix: string; shards: number }

/** `waiting`: how many events the store held after a clean stop; null while it is served, and after a kill. */
type Entry = { store: ServedStore; waiting: number | null }

/** Records that a start serves these stores. */
export async function recordServed(stateDir: string, stores: readonly ServedStore[]): Promise<void> {
  const others = (await read(stateDir)).filter(({ store }) => !isAmong(stores, store))
  await write(stateDir, [...others, ...stores.map((store) => ({ store, waiting: null }))])
}

/** Records how many events a store still holds at a clean stop. A store that holds none is forgotten. */
export async function recordLeft(stateDir: string, store: ServedStore, waiting: number): Promise<void> {
  const others = (await read(stateDir)).filter((entry) => !isAmong([store], entry.store))
  await write(stateDir, waiting === 0 ? others : [...others, { store, waiting }])
}

/**
 * Finds the stores that earlier starts served, that this one does not, and that may still hold events, and describes
 * each in one line. Decision 21 says why.
 */
export async function leftovers(stateDir: string, served: readonly ServedStore[]): Promise<string[]> {
  return (await read(stateDir)).filter(({ store }) => !isAmong(served, store)).map(describe)
}

function describe({ store, waiting }: Entry): string {
  const events =
    waiting === null ? 'may still hold events' : `still holds ${waiting} event${waiting === 1 ? '' : 's'}`
  const queue = 'queue' in store ? queueText(store.queue) : ''
  switch (store.kind) {
    case 'private redis':
      return `The private Redis of an earlier start${queue && ` (${queue})`} ${events}. To land them, start again with redis-server installed, without --no-redis, ${queue ? `with ${queue} and ` : ''}with REDIS_URL unset.`
    case 'external redis':
      return `The Redis at ${store.at}, served by an earlier start${queue && ` (${queue})`}, ${events}. Set REDIS_URL to it${queue && `, with ${queue},`} and start again to land them.`
    case 'embedded postgres':
      return `The embedded Postgres of an earlier start ${events}. Unset DATABASE_URL and start again to land them.`
    case 'external postgres':
      return `The Postgres at ${store.at}, served by an earlier start, ${events}. Set DATABASE_URL to it and start again to land them.`
    default:
      return store satisfies never
  }
}

/** The settings that lead to a queue, if they are not the defaults. */
function queueText({ prefix, shards }: QueueName): string {
  return [prefix !== 'sluice' && `QUEUE_PREFIX=${prefix}`, shards > 1 && `QUEUE_SHARDS=${shards}`]
    .filter(Boolean)
    .join(' ')
}

/** Whether a start that serves these stores sees every event in the wanted one. */
function isAmong(stores: readonly ServedStore[], wanted: ServedStore): boolean {
  return stores.some(
    (store) => identityOf(store) === identityOf(wanted) && shardsOf(store) >= shardsOf(wanted),
  )
}

function identityOf(store: ServedStore): string {
  return [store.kind, 'at' in store && store.at, 'queue' in store && store.queue.prefix].join(' ')
}

const shardsOf = (store: ServedStore) => ('queue' in store ? store.queue.shards : 0)

async function read(stateDir: string): Promise<Entry[]> {
  try {
    return JSON.parse(await readFile(join(stateDir, 'served.json'), 'utf8'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

async function write(stateDir: string, entries: Entry[]): Promise<void> {
  await writeWhole(join(stateDir, 'served.json'), `${JSON.stringify(entries, null, 2)}\n`)
}
