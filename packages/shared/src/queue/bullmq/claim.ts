import type { RedisClient } from '../connection.ts'
import { FIELD, LOCK, META, queueKeys } from './keys.ts'
import { WORKER_OPTIONS } from './options.ts'
import { createScript } from './script.ts'

/**
 * Does for many waiting jobs what BullMQ's script `moveToActive` does for one: it locks them and lists them as active.
 * It claims nothing if the queue is paused or limited: BullMQ's script decides then. It sets no marker and promotes no
 * delayed job, since the first job of each batch comes from BullMQ's script, which does both. An id whose hash is gone,
 * or is no hash, is set aside (`rescue.ts`). The id of a finished job leaves the list.
 *
 * Redis undoes nothing if a script fails halfway. So ids leave the list of waiting jobs last.
 */
const CLAIM = `
local call = redis.call
local wait, active, meta, missing, none = unpack(KEYS)
local prefix, now, lockMs, token, count = unpack(ARGV)
local queue = call('HMGET', meta, '${META.paused}', '${META.concurrency}', '${META.max}')
if queue[1] or queue[2] or queue[3] then return { 0 } end
call('DEL', none)
local last = call('LRANGE', wait, -count, -1)
local ids, jobs, gone = {}, {}, {}
for i = #last, 1, -1 do
  local id = last[i]
  local key = prefix .. id
  local job = redis.pcall('HMGET', key, '${FIELD.data}', '${FIELD.attemptsMade}', '${FIELD.stalledCounter}',
    '${FIELD.deferredFailure}', '${FIELD.attemptsStarted}', '${FIELD.finishedOn}')
  local data, attempts, stalled, failure, started, finished = unpack(job)
  if job.err or not (data or call('EXISTS', key) == 1) then
    gone[#gone + 1] = now
    gone[#gone + 1] = id
  elseif not finished then
    call('SET', key .. '${LOCK}', token, 'PX', lockMs)
    call('HSET', key, '${FIELD.processedOn}', now, '${FIELD.attemptsStarted}', (tonumber(started) or 0) + 1)
    ids[#ids + 1] = id
    for _, value in ipairs({ id, data or '', attempts or 0, stalled or 0, failure or '' }) do jobs[#jobs + 1] = value end
  end
end
if #ids > 0 then call('LPUSH', active, unpack(ids)) end
if #gone > 0 then call('ZADD', missing, unpack(gone)) end
if #last > 0 then call('LTRIM', wait, 0, -#last - 1) end
return { call('LLEN', wait), unpack(jobs) }`

/** A run of this many jobs delays other commands by about a millisecond, and while fifty bodies are sent. */
export const MAX_JOBS = 50

/** The part of a claimed job that is read. */
export type ClaimedJob = {
  readonly id: string
  /** JSON text, unless another program has written to Redis. */
  readonly data: string
  readonly attemptsMade: number
  /** In how many crashes of its worker it was active. */
  readonly crashes: number
  /** The failure that BullMQ has noted because the job stalled too often; empty otherwise. */
  readonly failure: string
}

/** Claims waiting jobs of one shard, many in one command. */
export type JobClaimer = {
  /** @returns up to `count` jobs, the longest waiting first, locked under `token`; fewer if Redis refuses */
  claim(token: string, count: number): Promise<ClaimedJob[]>
  /** How many jobs were still waiting after the last claim. */
  readonly waiting: number
  /** @returns names and values of a job's hash in turn */
  fieldsOf(id: string): Promise<string[]>
}

const claim = createScript<[waiting: number, ...jobs: (string | number)[]]>(CLAIM, 5)

/**
 * @param client a connection without blocking commands
 * @param prefix of the shard
 * @param options.queueName if it is not the queue of the events
 * @param options.lockMs how long a claim holds without renewal
 * @param options.onRefused is called with the reason when Redis refuses a claim
 */
export function createJobClaimer(
  client: RedisClient,
  prefix: string,
  {
    queueName,
    lockMs = WORKER_OPTIONS.lockDuration,
    onRefused = () => {},
  }: { queueName?: string; lockMs?: number; onRefused?(error: Error): void } = {},
): JobClaimer {
  const { queue, job, wait, active, meta, missing, none } = queueKeys(prefix, queueName)
  const keys = [wait, active, meta, missing, none]
  let waiting = 0
  return {
    async claim(token, count) {
      const asked: ReturnType<typeof claim>[] = []
      for (let left = count; left > 0; left -= MAX_JOBS) {
        const most = Math.min(left, MAX_JOBS)
        asked.push(claim(client, [...keys, queue, Date.now(), lockMs, token, most]))
      }
      // If one command fails, the jobs of the others are claimed all the same.
      const claimed = (await Promise.allSettled(asked)).flatMap((each) => {
        if (each.status === 'fulfilled') return [each.value]
        onRefused(each.reason)
        return []
      })
      waiting = claimed.at(-1)?.[0] ?? 0
      return claimed.flatMap(jobsOf)
    },
    get waiting() {
      return waiting
    },
    async fieldsOf(id) {
      return Object.entries(await client.hgetall(job(id))).flat()
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
      crashes: Number(values[at + 3]),
      failure: String(values[at + 4]),
    })
  }
  return jobs
}
