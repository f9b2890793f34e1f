import type { RedisClient } from '../connection.ts'
import { NO_KEY, QUEUE_NAME } from './options.ts'
import { createScript } from './script.ts'

/** A job as it is added. */
export type EncodedJob = {
  readonly jobId: string
  /** The arrival that makes it; see `noteRedeliveries`. */
  readonly name: string
  /** JSON text. */
  readonly data: string
}

/**
 * Does for many jobs what BullMQ's own script `addStandardJob` (6.7) does for one: the job's hash, its place in the
 * list of waiting jobs, and the marker that wakes a worker. It leaves out what nothing reads here: the counter for
 * automatic ids, options that are the same for every job, and two entries in the event stream, which nothing would
 * cut while a backlog grows. A job that exists is left alone; the answer tells which ones another arrival had made.
 *
 * It reads before it writes, and lists ids before it writes their hashes: Redis takes nothing back when a script ends
 * in the middle, and a hash outside of every list would take in redeliveries for ever.
 */
const ADD = `
local fresh, ids, names, collapsed = {}, {}, {}, {}
for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  local name = names[id] or redis.call('HGET', ARGV[1] .. id, 'name')
  if not name then
    fresh[#fresh + 1] = i
    ids[#ids + 1] = id
    names[id] = ARGV[i + 1]
  elseif name ~= ARGV[i + 1] then
    collapsed[#collapsed + 1] = i / 3 - 1
  end
end
if #ids > 0 then
  local queue = redis.call('HMGET', KEYS[2], 'paused', 'concurrency')
  local full = queue[2] and redis.call('LLEN', KEYS[3]) >= tonumber(queue[2])
  redis.call('LPUSH', KEYS[1], unpack(ids))
  for _, i in ipairs(fresh) do
    redis.call('HSET', ARGV[1] .. ARGV[i], 'name', ARGV[i + 1], 'data', ARGV[i + 2], 'timestamp', ARGV[2])
  end
  if not queue[1] and not full then redis.call('ZADD', KEYS[4], 0, '0') end
end
return collapsed`

/** As many as Lua unpacks with room to spare. */
export const MAX_JOBS_PER_ADD = 200

const add = createScript<number[]>(ADD, 5)

/**
 * Adds jobs to one shard's queue in one command, which Redis runs as a whole or not at all.
 *
 * @returns a function that resolves with the indexes of jobs that were there already, made by another arrival
 */
export function createAdd(
  client: RedisClient,
  prefix: string,
  name: string = QUEUE_NAME,
): (jobs: readonly EncodedJob[]) => Promise<number[]> {
  const queue = `${prefix}:${name}:`
  const keys = ['wait', 'meta', 'active', 'marker', NO_KEY].map((key) => queue + key)
  return (jobs) => {
    const args: (string | number)[] = [...keys, queue, Date.now()]
    for (const { jobId, name, data } of jobs) args.push(jobId, name, data)
    return add(client, args)
  }
}
