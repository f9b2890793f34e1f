import type { RedisClient } from '../connection.ts'
import { nodeOf } from './all-jobs.ts'
import { queueKeys } from './keys.ts'
import { createScript } from './script.ts'

/** Longer than any delay that a worker asks for. */
const LONGEST_MS = 300_000
/** A worker looks for jobs whose time has come every few seconds. */
const OVERDUE_MS = 60_000
const PAGE = 500
/** BullMQ multiplies times by this, to number the jobs of one millisecond. */
const PER_MS = 4_096

/** The ids enter the list of waiting jobs before they leave the delayed ones: a script may fail halfway. */
const END_DELAYS = `
local call = redis.call
local delayed, wait, marker, none = unpack(KEYS)
local ids = call('ZRANGEBYSCORE', delayed, ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
if #ids > 0 then
  call('DEL', none)
  call('LPUSH', wait, unpack(ids))
  call('ZREM', delayed, unpack(ids))
  call('ZADD', marker, 0, '0')
end
return #ids`

const endDelays = createScript<number>(END_DELAYS, 4)

/**
 * Ends delays that the wrong clock of a worker has made: BullMQ counts them by the clocks of its workers. If the worker
 * that delayed a job was ahead, others would wait for days; if the last worker left is behind, its time never comes.
 * The clock of Redis decides.
 *
 * @returns how many jobs were delayed for longer than any worker asks for; 0 as well if this user may not ask for the
 * time
 */
export async function endWrongDelays(client: RedisClient, prefix: string): Promise<number> {
  const { delayed, wait, marker, none, queue } = queueKeys(prefix)
  const node = await nodeOf(client, queue)
  const time = await node.time().catch(() => undefined)
  if (!time) return 0
  const now = Number(time[0]) * 1_000
  async function end(from: number | string, to: number | string): Promise<number> {
    for (let ended = 0; ; ) {
      const page = await endDelays(client, [delayed, wait, marker, none, from, to, PAGE])
      ended += page
      if (page < PAGE) return ended
    }
  }
  await end('-inf', (now - OVERDUE_MS) * PER_MS)
  return end((now + LONGEST_MS) * PER_MS, '+inf')
}
