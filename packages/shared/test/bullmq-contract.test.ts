import { createHash, randomUUID } from 'node:crypto'
import { glob, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { eventually } from '@sluice/testkit/world'
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { createAdd } from '../src/queue/bullmq/add.ts'
import type { HandleAll } from '../src/queue/bullmq/batch.ts'
import { createJobClaimer } from '../src/queue/bullmq/claim.ts'
import { allCommandsOn } from '../src/queue/bullmq/commands.ts'
import { createFinish } from '../src/queue/bullmq/finish.ts'
import { queueKeys, shardPrefix } from '../src/queue/bullmq/keys.ts'
import { JOB_OPTIONS } from '../src/queue/bullmq/options.ts'
import { createShardWorker } from '../src/queue/bullmq/shard-worker.ts'
import { createQueueAdmin, type FailedJob, openQueue } from '../src/queue/index.ts'
import { createLog } from '../src/runtime/index.ts'
import { queueServerUrl } from './queue-server.ts'

/** BullMQ's scripts that ours stand in for, or that handle the jobs which ours have made, claimed and finished. */
const SCRIPTS: Readonly<Record<string, string>> = {
  addStandardJob: '2eee45c9ffc54d24681b737f926016a7f7464f0d32a5f87f623bffa2fc55413c',
  moveToActive: '7d35069db0b831af1bd1b2d5eb8d524e86fc7d3280b8c684a96b6614bad7d79a',
  moveToFinished: '8e744ec5d65dbe9e7ffb6e39a96c0268bba65e4f0b1d04e2d2a42ccb71b45a6d',
  moveStalledJobsToWait: 'dad86d89b50d825fb9ad1e95ef0ca9ae459ba16e837663fdbfc7be6de003debb',
  moveToDelayed: '1a7b9311ef92fd66416973c29fa8b2c909cec58d0bfcf3e5ab53bb07ea1664d7',
  retryJob: '01f75f76043050807bce00f70908be7c15c7a29ce5f1f69d85a24d15f1099967',
  extendLocks: '14bb41f30eff2e7ff033bbcb31078fbc954a0bb16902129da8b68861c16baa5c',
  cleanJobsInSet: 'dbdd85409e49a4e328a42f28e3d7e745c8380583dda6215e84b9fd354cb495e2',
}
// These have no types. Node.js loads this build.
const upstream: Readonly<Record<string, { content: string }>> = createRequire(import.meta.url)(
  'bullmq/dist/cjs/scripts/index.js',
)
const textOf = (name: string) => upstream[name]?.content ?? ''

test.for(Object.entries(SCRIPTS))(
  "BullMQ's script %s is the one that ours were compared with",
  ([name, known]) => {
    const found = createHash('sha256').update(textOf(name)).digest('hex')
    expect(found, `${name} has changed: compare it with ours, then update its hash (CONTRIBUTING.md)`).toBe(
      known,
    )
  },
)

/**
 * Commands in these scripts that no job of ours leads to: parents, deduplication, limiters, priorities, another
 * `clean`.
 */
const NOT_NEEDED = ['LSET', 'PERSIST', 'PEXPIRE', 'SCARD', 'ZREMRANGEBYRANK', 'ZREMRANGEBYSCORE']

test("the list of commands names each that BullMQ's scripts and ours run", async () => {
  const listed = new Set(allCommandsOn('key').map(([command = '']) => command.toUpperCase()))
  const directory = new URL('../src/queue/bullmq/', import.meta.url).pathname
  const ours: string[] = []
  for await (const file of glob(`${directory}*.ts`)) ours.push(await readFile(file, 'utf8'))
  const texts = [...ours, ...Object.keys(SCRIPTS).map(textOf)]
  const run = new Set(
    texts.flatMap((text) => [...text.matchAll(/\bp?r?call\(["']([A-Z]+)["']/g)].map((match) => match[1])),
  )
  expect(run.size).toBeGreaterThan(30)
  expect([...run].filter((command = '') => !listed.has(command) && !NOT_NEEDED.includes(command))).toEqual([])
})

describe('with a Redis', () => {
  const stack = new AsyncDisposableStack()
  const log = createLog('test', 'silent')
  let redis: Redis
  beforeAll(() => {
    redis = stack.adopt(new Redis(queueServerUrl(), { maxRetriesPerRequest: null }), (opened) =>
      opened.disconnect(),
    )
  })
  afterAll(() => stack.disposeAsync())

  function open() {
    const name = randomUUID()
    const prefix = shardPrefix(name, 0)
    const queue = stack.adopt(openQueue(redis, prefix), (opened) => opened.close())
    const add = createAdd(redis, prefix)
    return {
      prefix,
      queue,
      location: { url: queueServerUrl(), prefix: name, shards: 1 },
      keys: queueKeys(prefix),
      add: (...ids: string[]) => add(ids.map((jobId) => ({ jobId, name: 'a', data: '{"n":1}' }))),
      claimer: createJobClaimer(redis, prefix),
      finish: createFinish(redis, prefix, { mostCompleted: () => 1_000 }),
    }
  }

  it('jobs that stall are counted, and fail in the end with the text that is recognised', async () => {
    const { prefix, location, add, queue } = open()
    const handled: string[][] = []
    const hang = Promise.withResolvers<void>()
    /** Claims a batch of jobs, and then does nothing more, as if it had crashed. */
    async function claimAndHang(lockDuration: number): Promise<void> {
      const handleAll: HandleAll = async (jobs) => {
        handled.push(jobs.map(({ job, crashes }) => `${job.jobId}: ${crashes}`).toSorted())
        await hang.promise
        return jobs.map(() => ({ kind: 'completed' }))
      }
      const before = handled.length
      const limits = { lockDuration, stalledInterval: 50, maxStalledCount: 2, drainDelay: 1 }
      const worker = createShardWorker(redis, prefix, {
        batches: 1,
        batchSize: 10,
        handleAll,
        mostCompleted: () => 1_000,
        limits: Object.assign(limits, { skipLockRenewal: true }),
        log,
      })
      stack.adopt(worker, (opened) => opened.close(true))
      await eventually(() => handled.length > before)
    }
    const allStalled = () => eventually(async () => (await queue.getWaitingCount()) === 3)

    await add('e-1', 'e-2', 'e-3')
    for (let crashes = 0; crashes <= 2; crashes++) {
      await claimAndHang(300)
      await allStalled()
    }
    // BullMQ would fail the first one itself.
    await queue.add('a', {}, { jobId: 'e-0', lifo: true })
    await claimAndHang(30_000)
    await eventually(async () => (await queue.getFailedCount()) === 3)
    hang.resolve()

    const withCount = (count: number) => ['e-1', 'e-2', 'e-3'].map((id) => `${id}: ${count}`)
    expect(handled).toEqual([withCount(0), withCount(1), withCount(2), ['e-0: 0']])
    const admin = stack.use(createQueueAdmin(location, log))
    await admin.ready(3_000)
    const failed: FailedJob[] = []
    await admin.sweepFailed(async (job) => void failed.push(job))
    expect(failed.map(({ jobId, isStalled, data }) => [jobId, isStalled, data]).toSorted()).toEqual(
      ['e-1', 'e-2', 'e-3'].map((id) => [id, true, '{"n":1}']),
    )
  })

  it('our scripts leave in Redis what those of BullMQ leave, apart from what is listed here', async () => {
    const [ours, theirs] = [open(), open()]
    const worker = stack.adopt(
      new Worker(theirs.queue.name, null, { connection: redis, prefix: theirs.prefix, autorun: false }),
      (opened) => opened.close(true),
    )
    const alwaysLeftOut = {
      // A counter for automatic ids, which no job here has.
      id: 'missing',
      // The stream, which nobody reads.
      events: 'missing',
    }
    const leftOutOfEachJob = {
      // The worker adds the options; without them delay and priority are 0.
      'e-1.opts': 'missing',
      'e-1.delay': 'missing',
      'e-1.priority': 'missing',
      'e-2.opts': 'missing',
      'e-2.delay': 'missing',
      'e-2.priority': 'missing',
    }
    const differences = async () => compare(await contents(ours.prefix), await contents(theirs.prefix))

    await ours.add('e-1', 'e-2')
    for (const jobId of ['e-1', 'e-2']) await theirs.queue.add('a', { n: 1 }, { jobId, ...JOB_OPTIONS })
    expect(await differences()).toEqual({ ...alwaysLeftOut, ...leftOutOfEachJob })

    expect(await ours.claimer.claim('token', 1)).toHaveLength(1)
    const job = await worker.getNextJob('token')
    expect(await differences()).toEqual({ ...alwaysLeftOut, ...leftOutOfEachJob })

    await ours.finish('token', [{ id: 'e-1', attempts: 1 }])
    await job?.moveToCompleted(undefined, 'token', false)
    expect(await differences()).toEqual({
      ...alwaysLeftOut,
      ...leftOutOfEachJob,
      // No job here returns a value.
      'e-1.returnvalue': 'missing',
    })
  })

  it('a paused queue gives out nothing, and wakes nobody', async () => {
    const { queue, add, claimer, keys } = open()
    await queue.pause()
    await add('e-1')
    expect(await claimer.claim('token', 1)).toEqual([])
    expect(await redis.exists(keys.marker)).toBe(0)
    await queue.resume()
    expect(await claimer.claim('token', 1)).toHaveLength(1)
  })

  it('a queue whose rate is limited gives out nothing: BullMQ decides job by job', async () => {
    const { queue, add, claimer } = open()
    await queue.setGlobalRateLimit(1, 60_000)
    await add('e-1')
    expect(await claimer.claim('token', 1)).toEqual([])
    await queue.removeGlobalRateLimit()
    expect(await claimer.claim('token', 1)).toHaveLength(1)
  })

  it('a queue whose concurrency is limited gives out nothing, and wakes nobody while it is full', async () => {
    const { queue, add, claimer, keys } = open()
    await queue.setGlobalConcurrency(1)
    await add('e-1')
    expect(await redis.exists(keys.marker)).toBe(1)
    expect(await claimer.claim('token', 1)).toEqual([])
    await redis.del(keys.marker)
    await redis.lmove(keys.wait, keys.active, 'RIGHT', 'LEFT')
    await add('e-2')
    expect(await redis.exists(keys.marker)).toBe(0)
    await queue.removeGlobalConcurrency()
    expect(await claimer.claim('token', 1)).toHaveLength(1)
  })

  /** Each value of a queue by the name of its key, the fields of a job by `id.field`. */
  async function contents(prefix: string): Promise<Map<string, unknown>> {
    const { queue } = queueKeys(prefix)
    const held = new Map<string, unknown>()
    for (const key of await redis.keys(`${prefix}:*`)) {
      const name = key.slice(queue.length)
      switch (await redis.type(key)) {
        case 'hash':
          for (const [field, value] of Object.entries(await redis.hgetall(key)))
            held.set(`${name}.${field}`, value)
          break
        case 'list':
          held.set(name, await redis.lrange(key, 0, -1))
          break
        case 'set':
          held.set(name, await redis.smembers(key))
          break
        case 'zset':
          held.set(name, (await redis.zrange(key, 0, '-1', 'WITHSCORES')).map(withoutTime))
          break
        case 'stream':
          held.set(name, 'stream')
          break
        default:
          held.set(name, await redis.get(key))
      }
    }
    return held
  }
})

function compare(
  ours: ReadonlyMap<string, unknown>,
  theirs: ReadonlyMap<string, unknown>,
): Record<string, unknown> {
  const differences: Record<string, unknown> = {}
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    const [our, their] = [ours.get(name), theirs.get(name)].map((value) =>
      JSON.stringify(value, (_, each) => withoutTime(each)),
    )
    if (our !== their) differences[name] = our === undefined ? 'missing' : { our, their }
  }
  return differences
}

const withoutTime = (value: unknown) =>
  typeof value === 'string' && /^1\d{12}$/.test(value) ? 'time' : value
