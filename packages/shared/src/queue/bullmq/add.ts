import type { RedisClient } from '../connection.ts'
import { FIELD, META, queueKeys } from './keys.ts'
import { createScript } from './script.ts'

/** A job as it is added. */
export type EncodedJob = {
  readonly jobId: string
  /** The delivery id that makes the job; see `noteRedeliveries`. */
  readonly name: string
  /** JSON text. */
  readonly data: string
}

/**
 * Does for many jobs what BullMQ's script `addStandardJob` does for one: it stores the job's hash, puts the id into the
 * list of waiting jobs, and sets the marker that wakes a worker. It leaves out the counter for automatic ids, the
 * options, which are the same for every job, and two entries in the event stream, which nobody would trim while a
 * backlog grows. It leaves an existing job alone, and returns the indexes of those that another delivery had made.
 *
 * Redis undoes nothing if a script fails halfway. So this one reads before it writes, and lists the ids before it
 * stores the hashes: a hash in no list would absorb redeliveries for ever.
 */
const ADD = `
local fresh, ids, names, redelivered = {}, {}, {}, {}
for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  local name = names[id] or redis.call('HGET', ARGV[1] .. id, '${FIELD.name}')
  if not name then
    fresh[#fresh + 1] = i
    ids[#ids + 1] = id
    names[id] = ARGV[i + 1]
  elseif name ~= ARGV[i + 1] then
    redelivered[#redelivered + 1] = i / 3 - 1
  end
end
if #ids > 0 then
  local queue = redis.call('HMGET', KEYS[2], '${META.paused}', '${META.concurrency}')
  local full = queue[2] and redis.call('LLEN', KEYS[3]) >= tonumber(queue[2])
  redis.call('LPUSH', KEYS[1], unpack(ids))
  for _, i in ipairs(fresh) do
    redis.call('HSET', ARGV[1] .. ARGV[i], '${FIELD.name}', ARGV[i + 1], '${FIELD.data}', ARGV[i + 2], '${FIELD.timestamp}', ARGV[2])
  end
  if not queue[1] and not full then redis.call('ZADD', KEYS[4], 0, '0') end
end
return redelivered`

/** Lua unpacks as many arguments with room to spare. */
export const MAX_JOBS_PER_ADD = 200

const add = createScript<number[]>(ADD, 5)

/**
 * Adds jobs to one shard's queue in one command. Redis runs it as a whole or not at all.
 *
 * @returns a function that resolves with the indexes of the jobs that another delivery had already made
 */
export function createAdd(
  client: RedisClient,
  prefix: string,
  queueName?: string,
): (jobs: readonly EncodedJob[]) => Promise<number[]> {
  const { queue, wait, meta, active, marker, none } = queueKeys(prefix, queueName)
  const keys = [wait, meta, active, marker, none]
  return (jobs) => {
    const args: (string | number)[] = [...keys, queue, Date.now()]
    for (const { jobId, name, data } of jobs) args.push(jobId, name, data)
    return add(client, args)
  }
}
