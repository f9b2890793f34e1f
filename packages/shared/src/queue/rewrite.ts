import type { Redis } from 'ioredis'
import { describeError } from '../runtime/errors.ts'
import { pause } from '../runtime/every.ts'
import { findMasters, withRedis } from './nodes.ts'

/**
 * What became of the files of one server: `rewritten` without the keys that are gone, or the reason why not.
 * `replicas` rewrite their files themselves.
 */
export type Rewritten = {
  /** `host:port` if there are several. */
  readonly server: string | undefined
  readonly outcome: 'rewritten' | { readonly failed: string }
  readonly replicas: number
}

const LOOK_EVERY_MS = 100

/**
 * Has every master behind the URL write its files anew, and waits for their ends: the append-only file, if it has one,
 * and a snapshot, if it makes any.
 */
export function rewriteFiles(url: string, limitMs: number): Promise<Rewritten[]> {
  return withRedis(url, async (client) => {
    const masters = await findMasters(url, client)
    return Promise.all(
      masters.map(async ({ name, use }): Promise<Rewritten> => {
        try {
          return { server: name, outcome: 'rewritten', replicas: await use((node) => rewrite(node, limitMs)) }
        } catch (error) {
          return { server: name, outcome: { failed: describeError(error).message }, replicas: 0 }
        }
      }),
    )
  })
}

/** @returns how many replicas it has */
async function rewrite(node: Redis, limitMs: number): Promise<number> {
  const limit = Date.now() + limitMs
  const hasLog = (await infoOf(node)).aof_enabled === '1'
  if (hasLog) await write(node, limit, 'aof_last_bgrewrite_status', () => node.bgrewriteaof())
  if (!hasLog || (await makesSnapshots(node))) {
    await write(node, limit, 'rdb_last_bgsave_status', () => node.bgsave())
  }
  return Number((await infoOf(node)).connected_slaves ?? 0)
}

/** One that is under way began before, so another one must follow. */
async function write(
  node: Redis,
  limit: number,
  status: 'aof_last_bgrewrite_status' | 'rdb_last_bgsave_status',
  start: () => Promise<unknown>,
): Promise<void> {
  for (let hasStarted = false; ; ) {
    await idle(node, limit)
    if (hasStarted) break
    hasStarted = await start().then(
      () => true,
      (error: Error) => {
        if (/in progress/i.test(error.message)) return false
        throw error
      },
    )
  }
  const result = (await infoOf(node))[status]
  if (result !== 'ok') throw new Error(`${status} is ${result}`)
}

const RUNNING = ['aof_rewrite_in_progress', 'aof_rewrite_scheduled', 'rdb_bgsave_in_progress'] as const

async function idle(node: Redis, limit: number): Promise<void> {
  for (;;) {
    const info = await infoOf(node)
    if (RUNNING.every((name) => info[name] === '0')) return
    if (Date.now() > limit) throw new Error('it writes its files for too long')
    await pause(LOOK_EVERY_MS)
  }
}

/** If the user may not ask, perhaps it does. */
async function makesSnapshots(node: Redis): Promise<boolean> {
  const answer = await node.config('GET', 'save').catch(() => undefined)
  return answer === undefined || (answer as string[])[1] !== ''
}

async function infoOf(node: Redis): Promise<Record<string, string>> {
  const text = `${await node.info('persistence')}\r\n${await node.info('replication')}`
  return Object.fromEntries(text.split('\r\n').map((line) => line.split(':') as [string, string]))
}
