import type { RedisClient } from '../connection.ts'
import { nodeOf } from './all-jobs.ts'
import { FIELD, LOCK, queueKeys } from './keys.ts'
import { createScript } from './script.ts'
import { endWrongDelays } from './wrong-delays.ts'

/**
 * Lost jobs that wait again, ids that were removed because their jobs are gone, and jobs that a wrong clock delayed.
 */
export type Rescued = { readonly back: number; readonly forgotten: number; readonly early: number }

const FORGET_MS = 600_000
const SCAN_EVERY_MS = 300_000
/** A younger hash may belong to a command that is still running. */
const MIN_AGE_MS = 60_000
/** Longer lists are not searched. */
const MAX_LISTED = 20_000
const PAGE = 500
const BACK_AT_ONCE = 100

/**
 * Of the ids that were set aside: a job whose hash is there again waits again; the other ids are removed after a while.
 */
const RETURN = `
local call = redis.call
local wait, marker, missing, none = unpack(KEYS)
local prefix, now, forgetMs = unpack(ARGV, 1, 3)
local back, gone = {}, {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local since = call('ZSCORE', missing, id)
  local state = since and call('TYPE', prefix .. id).ok
  if state == 'hash' then
    if call('HEXISTS', prefix .. id, '${FIELD.finishedOn}') == 0 then back[#back + 1] = id else gone[#gone + 1] = id end
  elseif since and now - since > tonumber(forgetMs) then
    gone[#gone + 1] = id
  end
end
if #back > 0 then
  call('LPUSH', wait, unpack(back))
  call('ZREM', missing, unpack(back))
  call('ZADD', marker, 0, '0')
end
if #gone > 0 then call('ZREM', missing, unpack(gone)) end
return { #back, #gone }`

/** Which of these hashes belong to jobs that are old enough and not finished. */
const UNFINISHED = `
local prefix, before = ARGV[1], tonumber(ARGV[2])
local found = {}
for i = 3, #ARGV do
  local job = redis.pcall('HMGET', prefix .. ARGV[i], '${FIELD.timestamp}', '${FIELD.finishedOn}')
  if not job.err and job[1] and not job[2] and tonumber(job[1]) < before then found[#found + 1] = ARGV[i] end
end
return found`

/** Of jobs that seem to be in no list: a job that is in no list, not finished and not locked waits again. */
const BACK = `
local call = redis.call
local wait, active, paused, marker, none, delayed, failed, completed, prioritized, missing, children = unpack(KEYS)
local prefix, most = ARGV[1], tonumber(ARGV[2])
if call('LLEN', wait) + call('LLEN', active) >= most then return {} end
local back = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local key = prefix .. id
  local listed = call('HEXISTS', key, '${FIELD.timestamp}') == 0 or call('HEXISTS', key, '${FIELD.finishedOn}') == 1
    or call('EXISTS', key .. '${LOCK}') == 1
    or call('LPOS', wait, id) or call('LPOS', active, id) or call('LPOS', paused, id)
  for _, set in ipairs({ delayed, failed, completed, prioritized, missing, children }) do
    listed = listed or call('ZSCORE', set, id)
  end
  if not listed then back[#back + 1] = id end
end
if #back > 0 then
  call('LPUSH', wait, unpack(back))
  call('ZADD', marker, 0, '0')
end
return back`

const returnMissing = createScript<[back: number, forgotten: number]>(RETURN, 4)
const unfinished = createScript<string[]>(UNFINISHED, 1)
const putBack = createScript<string[]>(BACK, 11)

/**
 * Finds jobs of one shard that are in no list, as a script leaves them that failed halfway, and lets them wait again.
 * Two rounds in a row must find a job. A round searches all keys every five minutes, and after ids were set aside.
 *
 * @returns a round; it rejects if Redis refuses, for example while the shard moves to another node
 */
export function createRescue(client: RedisClient, prefix: string): () => Promise<Rescued> {
  const keys = queueKeys(prefix)
  let unlisted: string[] = []
  let scanAt = 0

  async function returnSetAside(): Promise<Pick<Rescued, 'back' | 'forgotten'>> {
    const ids = await client.zrange(keys.missing, 0, String(PAGE - 1))
    if (ids.length === 0) return { back: 0, forgotten: 0 }
    scanAt = 0
    const { wait, marker, missing, none, queue } = keys
    const args = [wait, marker, missing, none, queue, Date.now(), FORGET_MS, ...ids]
    const [back, forgotten] = await returnMissing(client, args)
    return { back, forgotten }
  }

  async function returnUnlisted(): Promise<number> {
    let back = 0
    const { wait, active, paused, marker, none, delayed, failed, completed, prioritized, missing } = keys
    const lists = [wait, active, paused, marker, none, delayed, failed, completed, prioritized, missing]
    const args = [...lists, keys.waitingChildren, keys.queue, MAX_LISTED]
    for (let at = 0; at < unlisted.length; at += BACK_AT_ONCE) {
      back += (await putBack(client, [...args, ...unlisted.slice(at, at + BACK_AT_ONCE)])).length
    }
    unlisted = []
    return back
  }

  async function findUnlisted(): Promise<string[]> {
    const { wait, active, none, queue } = keys
    const lists = [wait, active]
    const lengths = await Promise.all(lists.map((list) => client.llen(list)))
    if (lengths.reduce((sum, length) => sum + length) >= MAX_LISTED) return []
    const listed = new Set((await Promise.all(lists.map((list) => client.lrange(list, 0, -1)))).flat())
    const node = await nodeOf(client, queue)
    const found = new Set<string>()
    let cursor = '0'
    do {
      const [next, page] = await node.scan(cursor, 'MATCH', `${queue}e-*`, 'COUNT', PAGE)
      cursor = next
      const ids = page
        .map((key) => key.slice(queue.length))
        .filter((id) => !id.includes(':') && !listed.has(id))
      if (ids.length > 0) {
        for (const id of await unfinished(client, [none, queue, Date.now() - MIN_AGE_MS, ...ids]))
          found.add(id)
      }
    } while (cursor !== '0' && found.size < MAX_LISTED)
    scanAt = performance.now() + SCAN_EVERY_MS
    return [...found]
  }

  return async () => {
    const confirmed = await returnUnlisted()
    const { back, forgotten } = await returnSetAside()
    const early = await endWrongDelays(client, prefix)
    if (performance.now() >= scanAt) unlisted = await findUnlisted()
    return { back: back + confirmed, forgotten, early }
  }
}
