import type { RedisClient } from '../connection.ts'
import { createCompletedLimit } from './completed-limit.ts'
import { JOB_OPTIONS, NO_KEY, QUEUE_NAME, WORKER_OPTIONS } from './options.ts'
import { createScript } from './script.ts'

/**
 * Does for many jobs what BullMQ's own script `moveToActive` (6.7) does for one that waits: a lock, and a place among the
 * active ones. Whatever is unusual is left to that one: a queue that is paused or limited, and delayed jobs. An id whose
 * key is gone, or no hash any more, is set aside; see `rescue.ts`. One that is finished is dropped.
 *
 * Redis takes nothing back when a script ends in the middle, so ids leave the waiting ones only when they stand elsewhere.
 */
const CLAIM = `
local call = redis.call
local wait, active, meta, missing, none = unpack(KEYS)
local prefix, now, lockMs, token, count = unpack(ARGV)
local queue = call('HMGET', meta, 'paused', 'concurrency', 'max')
if queue[1] or queue[2] or queue[3] then return { 0 } end
call('DEL', none)
local last = call('LRANGE', wait, -count, -1)
local ids, jobs, gone = {}, {}, {}
for i = #last, 1, -1 do
  local id = last[i]
  local key = prefix .. id
  local job = redis.pcall('HMGET', key, 'data', 'atm', 'stc', 'defa', 'ats', 'finishedOn')
  local data, attempts, stalled, failure, started, finished = unpack(job)
  if job.err or not (data or call('EXISTS', key) == 1) then
    gone[#gone + 1] = now
    gone[#gone + 1] = id
  elseif not finished then
    call('SET', key .. ':lock', token, 'PX', lockMs)
    call('HSET', key, 'processedOn', now, 'ats', (tonumber(started) or 0) + 1)
    ids[#ids + 1] = id
    for _, value in ipairs({ id, data or '', attempts or 0, stalled or 0, failure or '' }) do jobs[#jobs + 1] = value end
  end
end
if #ids > 0 then call('LPUSH', active, unpack(ids)) end
if #gone > 0 then call('ZADD', missing, unpack(gone)) end
if #last > 0 then call('LTRIM', wait, 0, -#last - 1) end
return { call('LLEN', wait), unpack(jobs) }`

/**
 * Does for many jobs what BullMQ's `moveToFinished` (6.7) does for one that is completed: its lock and its place among
 * the active ones go, it joins the completed ones, and old ones of these go. Its body stays for a while (`bodies.ts`), and
 * the job itself to let redeliveries collapse. It leaves out what jobs here never have (parents, limits of their own) and the
 * entries of the event stream, which nothing reads. It answers which jobs are not under this lock any more.
 *
 * Where it ends in the middle, each job is completed or still among the active ones, and handed out anew when its lock
 * expires. Completed ones are at most so many, and at most so many bytes by estimate where Redis tells its limit.
 */
const FINISH = `
local call = redis.call
local active, completed, stalled, none = unpack(KEYS)
local prefix, now, keepMs, most, token = unpack(ARGV, 1, 5)
local ids, attempts, locks = {}, {}, {}
for i = 6, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  attempts[#attempts + 1] = ARGV[i + 1]
  locks[#locks + 1] = prefix .. ARGV[i] .. ':lock'
end
local holders = call('MGET', unpack(locks))
local stored, done, doneLocks, scores, lost = {}, {}, {}, {}, {}
for i, id in ipairs(ids) do
  if holders[i] ~= token then
    lost[#lost + 1] = id
  else
    done[#done + 1] = id
    doneLocks[#doneLocks + 1] = locks[i]
    if call('EXISTS', prefix .. id) == 1 then
      stored[#stored + 1] = i
      scores[#scores + 1] = now
      scores[#scores + 1] = id
    end
  end
end
call('DEL', none)
if #scores > 0 then call('ZADD', completed, unpack(scores)) end
for _, i in ipairs(stored) do call('HSET', prefix .. ids[i], 'finishedOn', now, 'atm', attempts[i]) end
for _, id in ipairs(done) do call('LREM', active, -1, id) end
if #done > 0 then
  call('SREM', stalled, unpack(done))
  call('DEL', unpack(doneLocks))
end
local old = call('ZRANGEBYSCORE', completed, '-inf', now - keepMs, 'LIMIT', 0, 200)
if #old == 0 then
  local over = call('ZCARD', completed) - most
  if over > 0 then old = call('ZRANGE', completed, 0, math.min(over, 200) - 1) end
end
if #old > 0 then
  local keys = {}
  for _, id in ipairs(old) do
    keys[#keys + 1] = prefix .. id
    keys[#keys + 1] = prefix .. id .. ':logs'
  end
  call('DEL', unpack(keys))
  call('ZREM', completed, unpack(old))
end
return lost`

/** A script this long holds up others for about a millisecond, and for as long as it takes to send fifty bodies. */
export const MAX_JOBS = 50

/** What is read of a job that is taken. */
export type ClaimedJob = {
  readonly id: string
  /** JSON text, unless somebody else has written to Redis. */
  readonly data: string
  readonly attemptsMade: number
  readonly stalledCounter: number
  /** Why BullMQ has given it up, since it has stalled too often; else empty. */
  readonly failure: string
}

/** A job that is done, after so many tries. */
export type EndedJob = { readonly id: string; readonly attempts: number }

/** Takes and completes jobs of one shard, many in one command. */
export type JobClaimer = {
  /** @returns up to `count` waiting jobs, the longest waiting first, locked under `token`; fewer where Redis refuses */
  take(token: string, count: number): Promise<ClaimedJob[]>
  /** How many waited still when jobs were last taken. */
  readonly waiting: number
  /** @returns names and values of a job's hash, one after the other */
  fieldsOf(id: string): Promise<string[]>
  /** @returns those that are not under this lock any more: done already, or taken over by another worker */
  finish(token: string, jobs: readonly EndedJob[]): Promise<string[]>
}

const take = createScript<[waiting: number, ...jobs: (string | number)[]]>(CLAIM, 5)
const finish = createScript<string[]>(FINISH, 4)

/**
 * @param client a connection that nothing blocks
 * @param prefix of the shard
 * @param options.name of the queue, where it is not that of the events
 * @param options.mostCompleted how many completed jobs may stay; by default what one shard may have of Redis
 * @param options.onRefused hears why jobs cannot be taken
 */
export function createJobClaimer(
  client: RedisClient,
  prefix: string,
  {
    name = QUEUE_NAME,
    mostCompleted = createCompletedLimit(client, 1),
    onRefused = () => {},
  }: { name?: string; mostCompleted?: () => number; onRefused?(error: Error): void } = {},
): JobClaimer {
  const queue = `${prefix}:${name}:`
  const forTake = ['wait', 'active', 'meta', 'missing', NO_KEY].map((key) => queue + key)
  const forFinish = ['active', 'completed', 'stalled', NO_KEY].map((key) => queue + key)
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
      const taken = (await Promise.allSettled(asked)).flatMap((each) => {
        if (each.status === 'fulfilled') return [each.value]
        onRefused(each.reason)
        return []
      })
      waiting = taken.at(-1)?.[0] ?? 0
      return taken.flatMap(jobsOf)
    },
    get waiting() {
      return waiting
    },
    async fieldsOf(id) {
      return Object.entries(await client.hgetall(queue + id)).flat()
    },
    async finish(token, jobs) {
      const lost: Promise<string[]>[] = []
      for (let at = 0; at < jobs.length; at += MAX_JOBS) {
        const some = jobs.slice(at, at + MAX_JOBS).flatMap(({ id, attempts }) => [id, attempts])
        lost.push(finish(client, [...forFinish, queue, Date.now(), keepMs, mostCompleted(), token, ...some]))
      }
      return (await Promise.all(lost)).flat()
    },
  }
}

function jobsOf([_waiting, ...values]: readonly (string | number)[]): ClaimedJob[] {
  const jobs: ClaimedJob[] = []
  for (let at = 0; at < values.length; at += 5) {
    jobs.push({
      id: String(values[at]),
      data: String(values[at + 1]),
      attemptsMade: Number(values[at + 2]),
      stalledCounter: Number(values[at + 3]),
      failure: String(values[at + 4]),
    })
  }
  return jobs
}
