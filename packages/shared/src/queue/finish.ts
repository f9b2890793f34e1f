import { type BackendFactory, createRedisBackend, type RedisQueueBackend, raw2NextJobData } from 'bullmq'
import { pause } from '../runtime/backoff.ts'
import { createBatcher } from '../runtime/batch.ts'
import type { RedisClient } from './connection.ts'
import { JOB_OPTIONS, WORKER_OPTIONS } from './options.ts'

/**
 * Does for many jobs what BullMQ's own script `moveToFinished` (6.7) does for one that is completed: its lock and its
 * place among the active ones go, it joins the completed ones, and the next job takes its place. It takes the body off
 * as well: finished jobs stay only to let redeliveries collapse. It leaves out what jobs here never have (parents,
 * limits of their own) and the entries of the event stream, which nothing reads.
 *
 * Whatever is unusual stays with BullMQ: a job whose lock is gone, a queue that is paused or limited, delayed jobs
 * whose time has come. For each job it answers with the next one or, where none waits, when the first delayed one will;
 * or with one of the numbers below.
 */
const FINISH = `
local wait, active, completed, stalled, meta, marker, delayed = unpack(KEYS)
local prefix, now, keepMs, lockMs = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local answers, wanted = {}, {}
for i = 5, #ARGV, 3 do
  local n, id, token = (i - 2) / 3, ARGV[i], ARGV[i + 1]
  local key = prefix .. id
  if redis.call('GET', key .. ':lock') ~= token or redis.call('EXISTS', key) == 0
    or redis.call('LREM', active, -1, id) == 0 then
    answers[n] = -1
  else
    redis.call('DEL', key .. ':lock')
    redis.call('SREM', stalled, id)
    redis.call('HDEL', key, 'data', 'opts')
    redis.call('HINCRBY', key, 'atm', 1)
    redis.call('HSET', key, 'finishedOn', now)
    redis.call('ZADD', completed, now, id)
    answers[n] = 0
    if ARGV[i + 2] == '1' then wanted[#wanted + 1] = { n, token } end
  end
end

local old = redis.call('ZRANGEBYSCORE', completed, '-inf', now - keepMs, 'LIMIT', 0, math.max(200, 2 * #answers))
for _, id in ipairs(old) do redis.call('DEL', prefix .. id, prefix .. id .. ':logs') end
if #old > 0 then redis.call('ZREM', completed, unpack(old)) end

if #wanted == 0 then return answers end
local queue = redis.call('HMGET', meta, 'paused', 'concurrency', 'max')
if queue[1] or queue[2] or queue[3] then
  for _, want in ipairs(wanted) do answers[want[1]] = -2 end
  return answers
end
if #redis.call('ZRANGEBYSCORE', delayed, '-inf', (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1) > 0 then
  answers[table.remove(wanted)[1]] = -2
  if #wanted == 0 then return answers end
end
local ids = redis.call('RPOP', wait, #wanted) or {}
if #ids < #wanted then
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  for i = #ids + 1, #wanted do answers[wanted[i][1]] = { false, 0, 0, first[2] and first[2] / 0x1000 or 0 } end
end
if #ids == 0 then return answers end
redis.call('LPUSH', active, unpack(ids))
for i, id in ipairs(ids) do
  local key = prefix .. id
  redis.call('SET', key .. ':lock', wanted[i][2], 'PX', lockMs)
  redis.call('HSET', key, 'processedOn', now)
  redis.call('HINCRBY', key, 'ats', 1)
  answers[wanted[i][1]] = { redis.call('HGETALL', key), id, 0, 0 }
end
redis.call('ZADD', marker, 0, '0')
return answers`

/** BullMQ is to complete this one itself, which tells what is wrong with it. */
const COMPLETE_ONE = -1
/** Completed; BullMQ is to look for the next one. */
const ASK_FOR_NEXT = -2

/** A script this long holds up others for about a millisecond, and for as long as it takes to send fifty bodies. */
const MAX_JOBS_PER_FINISH = 50
/** How long to wait where Redis refuses to give a job, before BullMQ asks again. */
const REFUSED_MS = 1_000

type Finishing = { readonly jobId: string; readonly token: string; readonly fetchNext: boolean }
type Answer = number | [fields: string[] | null, id: string, limit: number, delayedUntil: number]
type WithFinish = RedisClient & { sluiceFinish(...args: (string | number)[]): Promise<Answer[]> }

/**
 * BullMQ's Redis backend for a worker, which completes jobs that end together in one command.
 *
 * @param client a connection of the worker's kind that nothing blocks
 * @param prefix of the shard
 */
export function finishingTogether(client: RedisClient, prefix: string): BackendFactory<RedisQueueBackend> {
  client.defineCommand('sluiceFinish', { numberOfKeys: 7, lua: FINISH })
  return (name, opts, flags) => {
    const backend = createRedisBackend(name, opts, flags)
    const queue = `${prefix}:${name}:`
    const names = ['wait', 'active', 'completed', 'stalled', 'meta', 'marker', 'delayed']
    const keys = names.map((key) => queue + key)
    const settings = [JOB_OPTIONS.removeOnComplete.age * 1_000, WORKER_OPTIONS.lockDuration]
    const finishing = createBatcher<Finishing, Answer>({
      maxItems: MAX_JOBS_PER_FINISH,
      concurrency: 4,
      async run(jobs) {
        const args = jobs.flatMap(({ jobId, token, fetchNext }) => [jobId, token, fetchNext ? 1 : 0])
        const answers = await (client as WithFinish).sluiceFinish(
          ...keys,
          queue,
          Date.now(),
          ...settings,
          ...args,
        )
        return answers.map((value) => ({ status: 'fulfilled', value }))
      },
    })
    const moveToActive = backend.moveToActive.bind(backend)
    backend.moveToActive = (token, worker) =>
      moveToActive(token, worker).catch(async (error: unknown) => {
        // BullMQ asks again at once, thousands of times a second, as long as Redis takes no writes.
        if (error instanceof Error && error.name === 'ReplyError') await pause(REFUSED_MS)
        throw error
      })
    const completeOne = backend.moveToCompleted.bind(backend)
    backend.moveToCompleted = async (job, value, keep, token, fetchNext) => {
      const answer = await finishing.add({ jobId: String(job.id), token, fetchNext })
      if (answer === COMPLETE_ONE) return completeOne(job, value, keep, token, fetchNext)
      const finishedOn = Date.now()
      // It is completed: whatever goes wrong with the next one must not look as if it were not.
      const result = await nextAfter(answer, () => backend.moveToActive(token)).catch(() => undefined)
      return { result, finishedOn }
    }
    return backend
  }
}

async function nextAfter(answer: Answer, ask: () => Promise<unknown[]>): Promise<unknown[] | undefined> {
  if (answer === ASK_FOR_NEXT) return ask()
  return typeof answer === 'number' ? undefined : raw2NextJobData(answer)
}
