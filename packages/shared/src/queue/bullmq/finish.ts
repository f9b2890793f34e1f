import type { RedisClient } from '../connection.ts'
import { MAX_JOBS } from './claim.ts'
import { createCompletedLimit } from './completed-limit.ts'
import { FIELD, LOCK, LOGS, queueKeys } from './keys.ts'
import { JOB_OPTIONS } from './options.ts'
import { createScript } from './script.ts'

/**
 * Does for many completed jobs what BullMQ's script `moveToFinished` does for one: it removes the lock and the place
 * among the active jobs, adds the job to the completed ones, and removes old ones of these. The body stays for a while
 * (`bodies.ts`), the job itself for an hour, so that redeliveries find it. It leaves out what no job here has (parents,
 * limits, metrics), the return value, and the entries of the event stream, which nobody reads. It returns the jobs that
 * are no longer locked under this token.
 *
 * If it fails halfway, each job is either completed or still active, and another worker claims it when its lock
 * expires.
 */
const FINISH = `
local call = redis.call
local active, completed, stalled, none = unpack(KEYS)
local prefix, now, keepMs, most, token = unpack(ARGV, 1, 5)
local ids, attempts, locks = {}, {}, {}
for i = 6, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  attempts[#attempts + 1] = ARGV[i + 1]
  locks[#locks + 1] = prefix .. ARGV[i] .. '${LOCK}'
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
for _, i in ipairs(stored) do
  call('HSET', prefix .. ids[i], '${FIELD.finishedOn}', now, '${FIELD.attemptsMade}', attempts[i])
end
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
    keys[#keys + 1] = prefix .. id .. '${LOGS}'
  end
  call('DEL', unpack(keys))
  call('ZREM', completed, unpack(old))
end
return lost`

const finish = createScript<string[]>(FINISH, 4)

/** A completed job, and the number of its tries. */
export type EndedJob = { readonly id: string; readonly attempts: number }

/** @returns the ids that are no longer locked under `token`: completed already, or claimed by another worker */
export type Finish = (token: string, jobs: readonly EndedJob[]) => Promise<string[]>

/**
 * Completes jobs of one shard, many in one command.
 *
 * @param options.queueName if it is not the queue of the events
 * @param options.mostCompleted how many completed jobs may stay; by default as many as one shard may
 */
export function createFinish(
  client: RedisClient,
  prefix: string,
  {
    queueName,
    mostCompleted = createCompletedLimit(client, 1),
  }: { queueName?: string; mostCompleted?: () => number } = {},
): Finish {
  const { queue, active, completed, stalled, none } = queueKeys(prefix, queueName)
  const keys = [active, completed, stalled, none]
  const keepMs = JOB_OPTIONS.removeOnComplete.age * 1_000
  return async (token, jobs) => {
    const lost: Promise<string[]>[] = []
    for (let at = 0; at < jobs.length; at += MAX_JOBS) {
      const some = jobs.slice(at, at + MAX_JOBS).flatMap(({ id, attempts }) => [id, attempts])
      lost.push(finish(client, [...keys, queue, Date.now(), keepMs, mostCompleted(), token, ...some]))
    }
    return (await Promise.all(lost)).flat()
  }
}
