import { type BackendFactory, createRedisBackend, type RedisQueueBackend, raw2NextJobData } from 'bullmq'
import { backoffMs, pause } from '../runtime/backoff.ts'
import type { RedisClient } from './connection.ts'
import { JOB_OPTIONS, MISSING, QUEUE_NAME, WORKER_OPTIONS } from './options.ts'
import { createScript } from './script.ts'

/**
 * Does for many jobs what BullMQ's own script `moveToActive` (6.7) does for one that waits: a lock, and a place among the
 * active ones. Whatever is unusual is left to that one: a queue that is paused or limited, and delayed jobs.
 *
 * No script is rolled back, and in a slot of a cluster that moves to another node any command can fail whose key is not
 * here (any more). So everything is read first, the ids join the active ones before they leave those that wait, and an id
 * without a hash is set aside: the hash may only lie on the other node (`rescueJobs`).
 *
 * A full Redis refuses commands that take memory, but none in a script that has written already: so it begins with a
 * write that takes none.
 */
const TAKE = `
local call = redis.call
local wait, active, meta, missing = unpack(KEYS)
local prefix, now, lockMs, token, count = unpack(ARGV)
local queue = call('HMGET', meta, 'paused', 'concurrency', 'max')
if queue[1] or queue[2] or queue[3] then return { 0 } end
local tail = call('LRANGE', wait, -count, -1)
if #tail == 0 then return { 0 } end
local ids, gone, started, jobs = {}, {}, {}, {}
for i = #tail, 1, -1 do
  local id = tail[i]
  local job = redis.pcall('HMGET', prefix .. id, 'data', 'atm', 'stc', 'defa', 'ats')
  if job.err and not string.find(job.err, 'WRONGTYPE', 1, true) then return redis.error_reply(job.err) end
  if not job.err and (job[1] or call('EXISTS', prefix .. id) == 1) then
    ids[#ids + 1] = id
    started[#started + 1] = (tonumber(job[5]) or 0) + 1
    for _, value in ipairs({ id, job[1] or '', job[2] or 0, job[3] or 0, job[4] or '' }) do jobs[#jobs + 1] = value end
  else
    gone[#gone + 1] = now
    gone[#gone + 1] = id
  end
end
call('DEL', prefix .. 'nothing')
for i, id in ipairs(ids) do
  call('SET', prefix .. id .. ':lock', token, 'PX', lockMs)
  call('HSET', prefix .. id, 'processedOn', now, 'ats', started[i])
end
if #gone > 0 then call('ZADD', missing, unpack(gone)) end
if #ids > 0 then call('LPUSH', active, unpack(ids)) end
call('LTRIM', wait, 0, -#tail - 1)
return { call('LLEN', wait), unpack(jobs) }`

/**
 * Does for many jobs what BullMQ's `moveToFinished` (6.7) does for one that is completed: its lock and its place among
 * the active ones go, it joins the completed ones, and old ones of these go. It takes the body off as well: finished jobs
 * stay only to let redeliveries collapse. It leaves out what jobs here never have (parents, limits of their own) and the
 * entries of the event stream, which nothing reads. It answers which jobs are not under this lock any more.
 *
 * Where it ends in the middle a job is active under its lock still, and doing it again completes it. Its first write needs
 * no memory either.
 */
const FINISH = `
local call = redis.call
local active, completed, stalled = unpack(KEYS)
local prefix, now, keepMs, token = unpack(ARGV, 1, 4)
call('DEL', prefix .. 'nothing')
local ids, attempts, locks = {}, {}, {}
for i = 5, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  attempts[#attempts + 1] = ARGV[i + 1]
  locks[#locks + 1] = prefix .. ARGV[i] .. ':lock'
end
local holders = call('MGET', unpack(locks))
local held, heldLocks, scores, lost = {}, {}, {}, {}
for i, id in ipairs(ids) do
  local key = prefix .. id
  if holders[i] ~= token then
    lost[#lost + 1] = id
  else
    held[#held + 1] = id
    heldLocks[#heldLocks + 1] = locks[i]
    if call('EXISTS', key) == 1 then
      call('HSET', key, 'data', '{}', 'finishedOn', now, 'atm', attempts[i])
      scores[#scores + 1] = now
      scores[#scores + 1] = id
    end
  end
end
if #scores > 0 then call('ZADD', completed, unpack(scores)) end
if #held > 0 then
  for _, id in ipairs(held) do
    if call('LREM', active, -1, id) == 0 then lost[#lost + 1] = id end
  end
  call('SREM', stalled, unpack(held))
  call('DEL', unpack(heldLocks))
end
local old = call('ZRANGEBYSCORE', completed, '-inf', now - keepMs, 'LIMIT', 0, 200)
for _, id in ipairs(old) do call('DEL', prefix .. id, prefix .. id .. ':logs') end
if #old > 0 then call('ZREM', completed, unpack(old)) end
return lost`

/** How long nothing is tried after Redis has refused something. */
const REFUSED = { baseMs: 100, maxMs: 10_000 }

/** A script this long holds up others for about a millisecond, and for as long as it takes to send fifty bodies. */
export const MAX_JOBS = 50

/** What is read of a job that is taken. */
export type TakenJob = {
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
export type JobTaker = {
  /** @returns up to `count` waiting jobs, the longest waiting first, locked under `token`; fewer where Redis refuses */
  take(token: string, count: number): Promise<TakenJob[]>
  /** How many waited still when jobs were last taken. */
  readonly waiting: number
  /** @returns names and values of a job's hash, one after the other */
  fieldsOf(id: string): Promise<string[]>
  /** @returns those that are not under this lock any more: done already, or taken over by another worker */
  finish(token: string, jobs: readonly EndedJob[]): Promise<string[]>
}

const take = createScript<[waiting: number, ...jobs: (string | number)[]]>(TAKE, 4)
const finish = createScript<string[]>(FINISH, 3)

/**
 * @param client a connection that nothing blocks
 * @param prefix of the shard
 * @param options.onError is told what a command to take jobs was refused with
 */
export function createJobTaker(
  client: RedisClient,
  prefix: string,
  { name = QUEUE_NAME, onError = () => {} }: { name?: string; onError?(error: Error): void } = {},
): JobTaker {
  const queue = `${prefix}:${name}:`
  const forTake = ['wait', 'active', 'meta', MISSING].map((key) => queue + key)
  const forFinish = ['active', 'completed', 'stalled'].map((key) => queue + key)
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
      const settled = await Promise.allSettled(asked)
      const taken = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
      for (const each of settled) if (each.status === 'rejected') onError(each.reason)
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
        lost.push(finish(client, [...forFinish, queue, Date.now(), keepMs, token, ...some]))
      }
      return (await Promise.all(lost)).flat()
    },
  }
}

function jobsOf([_waiting, ...values]: readonly (string | number)[]): TakenJob[] {
  const jobs: TakenJob[] = []
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

/**
 * BullMQ's Redis backend for a worker, which leaves alone what is completed already, and only fetches the next job. BullMQ
 * asks again at once when Redis refuses something: here each failure makes it wait longer, or it would let nothing else run.
 *
 * @param completed ids; each is taken out when its turn comes
 * @param stop ends the waiting
 */
export function passingOver(
  completed: Set<string>,
  { taker, stop }: { taker: JobTaker; stop: AbortSignal },
): BackendFactory<RedisQueueBackend> {
  return (name, opts, flags) => {
    const backend = createRedisBackend(name, opts, flags)
    const completeOne = backend.moveToCompleted.bind(backend)
    const fetchOne = backend.moveToActive.bind(backend)
    const wait = backend.waitForJob.bind(backend)
    let failures = 0
    async function paced<T>(work: () => Promise<T>): Promise<T> {
      try {
        const result = await work()
        failures = 0
        return result
      } catch (error) {
        await pause(backoffMs(failures++, REFUSED), stop)
        throw error
      }
    }
    backend.moveToActive = (token, ...rest) =>
      paced(() =>
        fetchOne(token, ...rest).catch(async (error: unknown) => {
          if (!/\bOOM\b/.test((error as Error).message)) throw error
          // BullMQ's script takes memory, ours gives it back.
          const [job] = await taker.take(token, 1)
          return raw2NextJobData(job ? [await taker.fieldsOf(job.id), job.id, 0, 0] : [null, 0, 0, 0])
        }),
      )
    backend.waitForJob = (timeout) => paced(() => wait(timeout))
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
