import { Redis } from 'ioredis'
import type { RedisClient } from '../connection.ts'
import { FIELD, LOCK, LOGS, queueKeys } from './keys.ts'
import { createScript } from './script.ts'

/** A job of any state. */
type StoredJob = {
  readonly jobId: string
  /** JSON text, unless another program has written to Redis. */
  readonly data: string
  /** A worker has claimed it, and has not ended. */
  readonly isClaimed: boolean
}

const PAGE = 500

/** Removes jobs, wherever they are listed, and the counts of their redeliveries. One that is claimed again stays. */
const REMOVE = `
local call = redis.call
local none, redeliveries, wait, active, paused = unpack(KEYS, 1, 5)
local prefix, fields = ARGV[1], tonumber(ARGV[2])
call('DEL', none)
for i = 3, 2 + fields do call('HDEL', redeliveries, ARGV[i]) end
local removed = 0
for i = 3 + fields, #ARGV do
  local id = ARGV[i]
  local key = prefix .. id
  if call('EXISTS', key .. '${LOCK}') == 0 then
    for _, list in ipairs({ wait, active, paused }) do call('LREM', list, 0, id) end
    for at = 6, #KEYS - 1 do call('ZREM', KEYS[at], id) end
    call('SREM', KEYS[#KEYS], id)
    removed = removed + call('DEL', key)
    call('DEL', key .. '${LOGS}')
  end
end
return removed`

const remove = createScript<number>(REMOVE, 12)

/** All jobs of one shard, and their removal. */
export type AllJobs = {
  each(): AsyncGenerator<StoredJob>
  /** @returns how many were removed: those that are claimed stay */
  remove(jobIds: readonly string[]): Promise<number>
  /** Empties the stream of events, which nobody reads. */
  forgetEvents(): Promise<void>
}

export function createAllJobs(client: RedisClient, prefix: string): AllJobs {
  const keys = queueKeys(prefix)
  const { queue, none, redeliveries, wait, active, paused, stalled } = keys
  const sets = [
    keys.delayed,
    keys.completed,
    keys.failed,
    keys.prioritized,
    keys.missing,
    keys.waitingChildren,
  ]
  const own = new Set<string>(Object.values(keys).filter((key) => typeof key === 'string'))

  async function fieldsOf(jobIds: ReadonlySet<string>): Promise<string[]> {
    const fields: string[] = []
    for await (const page of client.hscanStream(redeliveries, { count: PAGE }) as AsyncIterable<string[]>) {
      fields.push(
        ...page.filter((field, at) => at % 2 === 0 && jobIds.has(field.slice(0, field.indexOf(':')))),
      )
    }
    return fields
  }

  async function* ids(): AsyncGenerator<string[]> {
    const node = await nodeOf(client, queue)
    let cursor = '0'
    do {
      const [next, page] = await node.scan(cursor, 'MATCH', `${queue}*`, 'COUNT', PAGE)
      cursor = next
      yield page
        .filter((key) => !own.has(key) && !key.endsWith(LOCK) && !key.endsWith(LOGS))
        .map((key) => key.slice(queue.length))
    } while (cursor !== '0')
  }

  return {
    async *each() {
      for await (const page of ids()) {
        const found = await Promise.all(
          page.map(async (jobId) => {
            const [data, lock] = await Promise.all([
              // Not of a hash: no job.
              client.hget(keys.job(jobId), FIELD.data).catch(() => null),
              client.exists(keys.lock(jobId)),
            ])
            return { jobId, data, isClaimed: lock === 1 }
          }),
        )
        for (const { data, ...job } of found) if (data !== null) yield { ...job, data }
      }
    },
    async remove(jobIds) {
      let removed = 0
      const fields = await fieldsOf(new Set(jobIds))
      const lists = [none, redeliveries, wait, active, paused, ...sets, stalled]
      for (let at = 0; at < jobIds.length; at += PAGE) {
        const some = at === 0 ? fields : []
        const page = jobIds.slice(at, at + PAGE)
        removed += await remove(client, [...lists, queue, some.length, ...some, ...page])
      }
      return removed
    },
    async forgetEvents() {
      await client.xtrim(keys.events, 'MAXLEN', 0)
    },
  }
}

/** SCAN searches one node. */
export async function nodeOf(client: RedisClient, key: string): Promise<Redis> {
  if (client instanceof Redis) return client
  const slot = Number(await client.cluster('KEYSLOT', key))
  const address = client.slots[slot]?.[0]
  const node = client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === address)
  if (!node) throw new Error(`no node serves slot ${slot}`)
  return node
}
