import type { RedisClient } from './connection.ts'
import { QUEUE_NAME } from './options.ts'
import { createScript } from './script.ts'

/** A job as it is added. */
export type NewJob = {
  readonly jobId: string
  /** The arrival that makes it; see `countCollapsed`. */
  readonly name: string
  /** JSON text. */
  readonly data: string
}

/**
 * Does for many jobs what BullMQ's own script `addStandardJob` (6.7) does for one: the job's hash, its place in the
 * list of waiting jobs, and the marker that wakes a worker. It leaves out what nothing reads here: the counter for
 * automatic ids, options that are the same for every job, and two entries in the event stream, which nothing would
 * cut while a backlog grows. A job that exists is left alone; the answer tells which ones another arrival had made.
 */
const ADD = `
local ids, collapsed = {}, {}
for i = 3, #ARGV, 3 do
  local key = ARGV[1] .. ARGV[i]
  local name = redis.call('HGET', key, 'name')
  if not name then
    redis.call('HSET', key, 'name', ARGV[i + 1], 'data', ARGV[i + 2], 'timestamp', ARGV[2])
    ids[#ids + 1] = ARGV[i]
  elseif name ~= ARGV[i + 1] then
    collapsed[#collapsed + 1] = i / 3 - 1
  end
end
if #ids > 0 then
  redis.call('LPUSH', KEYS[1], unpack(ids))
  local queue = redis.call('HMGET', KEYS[2], 'paused', 'concurrency')
  if not queue[1] and not (queue[2] and redis.call('LLEN', KEYS[3]) >= tonumber(queue[2])) then
    redis.call('ZADD', KEYS[4], 0, '0')
  end
end
return collapsed`

/** As many as Lua unpacks with room to spare. */
export const MAX_JOBS_PER_ADD = 200

const add = createScript<number[]>(ADD, 4)

/**
 * Adds jobs to one shard's queue in one command, which Redis runs as a whole or not at all.
 *
 * @returns a function that resolves with the indexes of jobs that were there already, made by another arrival
 */
export function createAdd(
  client: RedisClient,
  prefix: string,
): (jobs: readonly NewJob[]) => Promise<number[]> {
  const queue = `${prefix}:${QUEUE_NAME}:`
  const keys = ['wait', 'meta', 'active', 'marker'].map((name) => queue + name)
  return (jobs) => {
    const args: (string | number)[] = [...keys, queue, Date.now()]
    for (const { jobId, name, data } of jobs) args.push(jobId, name, data)
    return add(client, args)
  }
}
