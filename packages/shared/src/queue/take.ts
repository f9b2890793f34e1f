import { type BackendFactory, createRedisBackend, type RedisQueueBackend } from 'bullmq'
import type { RedisClient } from './connection.ts'
import { JOB_OPTIONS, QUEUE_NAME, WORKER_OPTIONS } from './options.ts'
import { createScript } from './script.ts'

/**
 * Does for many jobs what BullMQ's own script `moveToActive` (6.7) does for one that waits: a lock, and a place among the
 * active ones. Whatever is unusual is left to that one: a queue that is paused or limited, and delayed jobs.
 */
const TAKE = `
local call = redis.call
local wait, active, meta = unpack(KEYS)
local prefix, now, lockMs, token, count = unpack(ARGV)
local queue = call('HMGET', meta, 'paused', 'concurrency', 'max')
if queue[1] or queue[2] or queue[3] then return { {}, 0 } end
local ids, jobs = {}, {}
for _, id in ipairs(call('RPOP', wait, count) or {}) do
  local key = prefix .. id
  local fields = call('HGETALL', key)
  if #fields > 0 then
    local started = 0
    for i = 1, #fields, 2 do
      if fields[i] == 'ats' then started = tonumber(fields[i + 1]) or 0 end
    end
    call('SET', key .. ':lock', token, 'PX', lockMs)
    call('HSET', key, 'processedOn', now, 'ats', started + 1)
    ids[#ids + 1] = id
    jobs[#jobs + 1] = { id, fields }
  end
end
if #ids > 0 then call('LPUSH', active, unpack(ids)) end
return { jobs, call('LLEN', wait) }`

/**
 * Does for many jobs what BullMQ's `moveToFinished` (6.7) does for one that is completed: its lock and its place among
 * the active ones go, it joins the completed ones, and old ones of these go. It takes the body off as well: finished jobs
 * stay only to let redeliveries collapse. It leaves out what jobs here never have (parents, limits of their own) and the
 * entries of the event stream, which nothing reads. It answers which jobs are not under this lock any more.
 */
const FINISH = `
local call = redis.call
local active, completed, stalled = unpack(KEYS)
local prefix, now, keepMs, token = unpack(ARGV, 1, 4)
local ids, attempts, locks = {}, {}, {}
for i = 5, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  attempts[#attempts + 1] = ARGV[i + 1]
  locks[#locks + 1] = prefix .. ARGV[i] .. ':lock'
end
local holders = call('MGET', unpack(locks))
local done, doneLocks, scores, lost = {}, {}, {}, {}
for i, id in ipairs(ids) do
  local key = prefix .. id
  if holders[i] ~= token or call('LREM', active, -1, id) == 0 then
    lost[#lost + 1] = id
  else
    done[#done + 1] = id
    doneLocks[#doneLocks + 1] = locks[i]
    if call('HDEL', key, 'data', 'opts') > 0 then
      call('HSET', key, 'finishedOn', now, 'atm', attempts[i])
      scores[#scores + 1] = now
      scores[#scores + 1] = id
    end
  end
end
if #done > 0 then
  call('DEL', unpack(doneLocks))
  call('SREM', stalled, unpack(done))
end
if #scores > 0 then call('ZADD', completed, unpack(scores)) end
local old = call('ZRANGEBYSCORE', completed, '-inf', now - keepMs, 'LIMIT', 0, 200)
for _, id in ipairs(old) do call('DEL', prefix .. id, prefix .. id .. ':logs') end
if #old > 0 then call('ZREM', completed, unpack(old)) end
return lost`

/** A script this long holds up others for about a millisecond, and for as long as it takes to send fifty bodies. */
export const MAX_JOBS = 50

/** A job's id and the fields of its hash. */
export type TakenJob = { readonly id: string; readonly fields: string[] }

/** A job that is done, after so many tries. */
export type EndedJob = { readonly id: string; readonly attempts: number }

/** Takes and completes jobs of one shard, many in one command. */
export type JobTaker = {
  /** @returns up to `count` waiting jobs, the longest waiting first, locked under `token`; fewer where Redis refuses */
  take(token: string, count: number): Promise<TakenJob[]>
  /** How many waited still when jobs were last taken. */
  readonly waiting: number
  /** @returns those that are not under this lock any more: done already, or taken over by another worker */
  finish(token: string, jobs: readonly EndedJob[]): Promise<string[]>
}

const take = createScript<[jobs: [id: string, fields: string[]][], waiting: number]>(TAKE, 3)
const finish = createScript<string[]>(FINISH, 3)

/**
 * @param client a connection that nothing blocks
 * @param prefix of the shard
 */
export function createJobTaker(client: RedisClient, prefix: string): JobTaker {
  const queue = `${prefix}:${QUEUE_NAME}:`
  const forTake = ['wait', 'active', 'meta'].map((name) => queue + name)
  const forFinish = ['active', 'completed', 'stalled'].map((name) => queue + name)
  const { lockDuration } = WORKER_OPTIONS
  const keepMs = JOB_OPTIONS.removeOnComplete.age * 1_000
  let waiting = 0
  return {
    async take(token, count) {
      const asked: ReturnType<typeof take>[] = []
      for (let left = count; left > 0; left -= MAX_JOBS) {
        const most = Math.min(left, MAX_JOBS)
        asked.push(take(client, [...forTake, queue, Date.now(), lockDuration, token, most]))
      }
      // What one command has taken is not lost because another fails.
      const taken = (await Promise.allSettled(asked)).flatMap((each) =>
        each.status === 'fulfilled' ? [each.value] : [],
      )
      waiting = taken.at(-1)?.[1] ?? 0
      return taken.flatMap(([jobs]) => jobs.map(([id, fields]) => ({ id, fields })))
    },
    get waiting() {
      return waiting
    },
    async finish(token, jobs) {
      const lost: Promise<string[]>[] = []
      for (let at = 0; at < jobs.length; at += MAX_JOBS) {
        const some = jobs.slice(at, at + MAX_JOBS).flatMap(({ id, attempts }) => [id, attempts])
        lost.push(finish(client, [...forFinish, queue, Date.now(), keepMs, token, ...some]))
      }
      return (await Promise.all(lost)).flat()
    },
  }
}

/**
 * BullMQ's Redis backend for a worker, which leaves alone what is completed already, and only fetches the next job.
 *
 * @param completed ids; each is taken out when its turn comes
 */
export function passingOver(completed: Set<string>): BackendFactory<RedisQueueBackend> {
  return (name, opts, flags) => {
    const backend = createRedisBackend(name, opts, flags)
    const completeOne = backend.moveToCompleted.bind(backend)
    backend.moveToCompleted = async (job, value, keep, token, fetchNext) => {
      if (!completed.delete(String(job.id))) return completeOne(job, value, keep, token, fetchNext)
      const finishedOn = Date.now()
      // Whatever goes wrong with the next one must not look as if this one were not completed.
      const result = fetchNext ? await backend.moveToActive(token).catch(() => undefined) : undefined
      return { result, finishedOn }
    }
    return backend
  }
}
