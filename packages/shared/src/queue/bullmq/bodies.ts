import type { RedisClient } from '../connection.ts'
import { figuresIn, NEARLY_FULL } from '../servers.ts'
import { nodeOf } from './all-jobs.ts'
import { FIELD, queueKeys } from './keys.ts'
import { JOB_OPTIONS, MOST_BODIES } from './options.ts'
import { createScript } from './script.ts'

const PAGE = 200
/** Jobs that end in the same millisecond as the last one of a page would be passed over. */
const JUST_ENDED_MS = 1_000
/** What replaces a body. */
const NO_BODY = '{}'

/**
 * Removes the bodies of completed jobs that ended before a time, and of all but the newest so many: one page, from
 * where the last page ended. The job itself stays, so that redeliveries find it.
 */
const STRIP = `
local call = redis.call
local completed, stripped, none = unpack(KEYS)
local prefix, upTo, most, page = unpack(ARGV)
local over = call('ZREVRANGE', completed, most, most, 'WITHSCORES')
local to = math.max(tonumber(upTo), tonumber(over[2] or 0))
local from = '(' .. (call('GET', stripped) or '-inf')
local some = call('ZRANGEBYSCORE', completed, from, to, 'WITHSCORES', 'LIMIT', 0, page)
if #some == 0 then return 0 end
local last = some[#some]
call('DEL', none)
local ids = call('ZRANGEBYSCORE', completed, from, last)
for _, id in ipairs(ids) do
  if call('EXISTS', prefix .. id) == 1 then call('HSET', prefix .. id, '${FIELD.data}', '${NO_BODY}') end
end
call('SET', stripped, last)
return #ids`

const REMOVE = `
redis.call('DEL', KEYS[1])
for i = 2, #ARGV do
  local key = ARGV[1] .. ARGV[i]
  if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, '${FIELD.data}', '${NO_BODY}') end
end`

const stripPage = createScript<number>(STRIP, 3)
const removeBodies = createScript<null>(REMOVE, 1)

/** A completed job: its data as JSON text, null if its body has been removed. */
export type CompletedJob = { readonly jobId: string; readonly data: string | null }

/** The bodies of one shard's completed jobs. */
export type Bodies = {
  /** Removes the bodies of jobs that ended at least so many ms ago; of all if Redis is nearly full. */
  strip(olderThanMs: number): Promise<void>
  /** Removes those of these jobs. */
  remove(jobIds: readonly string[]): Promise<void>
  /** The jobs that ended within the last so many ms, oldest first. */
  since(ms: number): AsyncGenerator<CompletedJob>
}

export function createBodies(client: RedisClient, prefix: string): Bodies {
  const { queue, job, completed, stripped, none } = queueKeys(prefix)
  return {
    async strip(olderThanMs) {
      const ms = (await isNearlyFull(client, queue)) ? Math.min(olderThanMs, JUST_ENDED_MS) : olderThanMs
      const args = [completed, stripped, none, queue, Date.now() - ms, MOST_BODIES, PAGE]
      for (;;) if ((await stripPage(client, args)) < PAGE) return
    },
    async remove(jobIds) {
      await removeBodies(client, [none, queue, ...jobIds])
    },
    async *since(ms) {
      const from = Date.now() - Math.min(ms, JOB_OPTIONS.removeOnComplete.age * 1_000)
      const ids = await client.zrangebyscore(completed, from, '+inf')
      for (let at = 0; at < ids.length; at += PAGE) {
        const page = ids.slice(at, at + PAGE)
        const found = await Promise.all(page.map((jobId) => client.hget(job(jobId), FIELD.data)))
        for (const [index, jobId] of page.entries()) {
          const data = found[index] ?? null
          yield { jobId, data: data === NO_BODY ? null : data }
        }
      }
    },
  }
}

/** The number of bodies is limited, not their size. False if this user may not ask. */
async function isNearlyFull(client: RedisClient, queue: string): Promise<boolean> {
  const node = await nodeOf(client, queue)
  const { memoryRatio = 0 } = figuresIn(await node.info('memory').catch(() => ''))
  return memoryRatio > NEARLY_FULL
}
