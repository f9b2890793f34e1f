import type { RedisClient } from '../connection.ts'
import { JOB_OPTIONS, NO_KEY, QUEUE_NAME } from './options.ts'
import { createScript } from './script.ts'

/** How long the bodies of completed jobs stay: long enough to notice that Postgres has lost what had landed. */
export const BODIES_STAY_MS = 600_000
/** The newest ones of a shard, however fast they come. */
export const MOST_BODIES = 100_000
const PAGE = 200

/**
 * Takes the bodies off the completed jobs that ended up to a time, and off those beyond the newest so many: a page of
 * them, from where it was left. The job itself stays, so that redeliveries collapse onto it.
 */
const STRIP = `
local call = redis.call
local completed, cursor, none = unpack(KEYS)
local prefix, upTo, most, page = unpack(ARGV)
local over = call('ZREVRANGE', completed, most, most, 'WITHSCORES')
local to = math.max(tonumber(upTo), tonumber(over[2] or 0))
local from = '(' .. (call('GET', cursor) or '-inf')
local some = call('ZRANGEBYSCORE', completed, from, to, 'WITHSCORES', 'LIMIT', 0, page)
if #some == 0 then return 0 end
local last = some[#some]
call('DEL', none)
local ids = call('ZRANGEBYSCORE', completed, from, last)
for _, id in ipairs(ids) do
  if call('EXISTS', prefix .. id) == 1 then call('HSET', prefix .. id, 'data', '{}') end
end
call('SET', cursor, last)
return #ids`

const strip = createScript<number>(STRIP, 3)

/** A completed job: its data as JSON text, null where its body has been taken off. */
export type CompletedJob = { readonly jobId: string; readonly data: string | null }

/** The bodies of a shard's completed jobs. */
export type Bodies = {
  /** Takes off those of jobs that ended so long ago; @returns how many jobs were looked at */
  strip(olderThanMs: number): Promise<number>
  /** The jobs that ended within so many ms, the oldest first. */
  since(ms: number): AsyncGenerator<CompletedJob>
}

export function createBodies(client: RedisClient, prefix: string): Bodies {
  const queue = `${prefix}:${QUEUE_NAME}:`
  const keys = ['completed', 'stripped', NO_KEY].map((name) => queue + name)
  return {
    async strip(olderThanMs) {
      let all = 0
      for (;;) {
        const args = [...keys, queue, Date.now() - olderThanMs, MOST_BODIES, PAGE]
        const looked = await strip(client, args)
        all += looked
        if (looked < PAGE) return all
      }
    },
    async *since(ms) {
      const from = Date.now() - Math.min(ms, JOB_OPTIONS.removeOnComplete.age * 1_000)
      const ids = await client.zrangebyscore(`${queue}completed`, from, '+inf')
      for (let at = 0; at < ids.length; at += PAGE) {
        const page = ids.slice(at, at + PAGE)
        const found = await Promise.all(page.map((jobId) => client.hget(queue + jobId, 'data')))
        for (const [index, jobId] of page.entries()) {
          const data = found[index] ?? null
          yield { jobId, data: data === '{}' ? null : data }
        }
      }
    },
  }
}
