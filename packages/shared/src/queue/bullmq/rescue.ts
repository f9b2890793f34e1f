import { Redis } from 'ioredis'
import type { RedisClient } from '../connection.ts'
import { NO_KEY, QUEUE_NAME } from './options.ts'
import { createScript } from './script.ts'

/** Lost jobs that went back to the waiting ones, and ids that are forgotten since their jobs are gone. */
export type Rescued = { readonly back: number; readonly forgotten: number }

const FORGET_MS = 600_000
const SCAN_EVERY_MS = 300_000
/** A hash that is younger may be about to be listed by a command whose answer is under way. */
const OLD_MS = 60_000
/** Lists that are longer are not searched. */
const SHORT = 20_000
const PAGE = 500
const BACK_AT_ONCE = 100

/** Of ids that were set aside: those with a hash go back to the waiting ones, the others are forgotten after a while. */
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
    if call('HEXISTS', prefix .. id, 'finishedOn') == 0 then back[#back + 1] = id else gone[#gone + 1] = id end
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

/** Which of these hashes are of jobs that are old enough and not finished. */
const UNFINISHED = `
local prefix, before = ARGV[1], tonumber(ARGV[2])
local found = {}
for i = 3, #ARGV do
  local job = redis.pcall('HMGET', prefix .. ARGV[i], 'timestamp', 'finishedOn')
  if not job.err and job[1] and not job[2] and tonumber(job[1]) < before then found[#found + 1] = ARGV[i] end
end
return found`

/** Of suspects: those that are in no list, not finished and under no lock go back to the waiting ones. */
const BACK = `
local call = redis.call
local wait, active, paused, marker, none = unpack(KEYS)
local prefix, short = ARGV[1], tonumber(ARGV[2])
if call('LLEN', wait) + call('LLEN', active) >= short then return {} end
local back = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local key = prefix .. id
  local listed = call('HEXISTS', key, 'timestamp') == 0 or call('HEXISTS', key, 'finishedOn') == 1
    or call('EXISTS', key .. ':lock') == 1
    or call('LPOS', wait, id) or call('LPOS', active, id) or call('LPOS', paused, id)
  for _, set in ipairs({ 'delayed', 'failed', 'completed', 'prioritized', 'missing', 'waiting-children' }) do
    listed = listed or call('ZSCORE', prefix .. set, id)
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
const putBack = createScript<string[]>(BACK, 5)

/**
 * Finds jobs of one shard that are in no list any more, as scripts leave them that ended in the middle, and puts them
 * back. Each has to be found by two rounds. All keys are looked through every five minutes, and once ids were set aside.
 *
 * @returns a round; it rejects where Redis refuses, as it does while the shard moves to another node
 */
export function createRescue(client: RedisClient, prefix: string): () => Promise<Rescued> {
  const queue = `${prefix}:${QUEUE_NAME}:`
  const keys = (...names: string[]) => names.map((name) => queue + name)
  let suspects: string[] = []
  let scanAt = 0

  async function returnAll(): Promise<Rescued> {
    const rescued = { back: 0, forgotten: 0 }
    const ids = await client.zrange(`${queue}missing`, 0, String(PAGE - 1))
    if (ids.length === 0) return rescued
    scanAt = 0
    const args = [...keys('wait', 'marker', 'missing', NO_KEY), queue, Date.now(), FORGET_MS, ...ids]
    const [back, forgotten] = await returnMissing(client, args)
    return { back, forgotten }
  }

  async function confirm(): Promise<string[]> {
    const confirmed: string[] = []
    const args = [...keys('wait', 'active', 'paused', 'marker', NO_KEY), queue, SHORT]
    for (let at = 0; at < suspects.length; at += BACK_AT_ONCE) {
      confirmed.push(...(await putBack(client, [...args, ...suspects.slice(at, at + BACK_AT_ONCE)])))
    }
    suspects = []
    return confirmed
  }

  async function find(): Promise<string[]> {
    const lists = keys('wait', 'active')
    const lengths = await Promise.all(lists.map((list) => client.llen(list)))
    if (lengths.reduce((sum, length) => sum + length) >= SHORT) return []
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
        const args = [`${queue}${NO_KEY}`, queue, Date.now() - OLD_MS, ...ids]
        for (const id of await unfinished(client, args)) found.add(id)
      }
    } while (cursor !== '0' && found.size < SHORT)
    scanAt = performance.now() + SCAN_EVERY_MS
    return [...found]
  }

  return async () => {
    const confirmed = await confirm()
    const { back, forgotten } = await returnAll()
    if (performance.now() >= scanAt) suspects = await find()
    return { back: back + confirmed.length, forgotten }
  }
}

/** Keys are looked through on one node. */
async function nodeOf(client: RedisClient, key: string): Promise<Redis> {
  if (client instanceof Redis) return client
  const slot = Number(await client.cluster('KEYSLOT', key))
  const address = client.slots[slot]?.[0]
  const node = client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === address)
  if (!node) throw new Error(`no node serves slot ${slot}`)
  return node
}
