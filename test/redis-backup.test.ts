import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rebuildJourneys } from '@sluice/shared/db'
import { countBacklog } from '@sluice/shared/operations'
import { createQueueAdmin, queueKeys, shardPrefix } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import { createWorld, eventually, openDoor, openWorker } from '@sluice/testkit/world'
import { expect, it } from 'vitest'

type Event = ReturnType<typeof finishedJourney>

it('an old copy of Redis, put back, lands nothing twice, and counts again only what it had still to count', async () => {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-redis-backup-'))
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  const redis = stack.use(await createRedisServer({ dir: join(dir, 'redis') }))
  const world = stack.use(await createWorld('redis', { redisUrl: redis.url }))
  const { queuePrefix: prefix, db } = world
  const door = stack.use(await openDoor(world))
  const queue = stack.use(createQueueAdmin({ url: redis.url, prefix, shards: 1 }, createLog('test', 'fatal')))
  const { redeliveries } = queueKeys(shardPrefix(prefix, 0))
  /** How many duplicates each event should have. */
  const expected = new Map<string, number>()

  async function deliver({ eventId, bytes }: Event): Promise<void> {
    expect((await door.post(new Uint8Array(bytes))).status).toBe(200)
    expected.set(eventId, (expected.get(eventId) ?? -1) + 1)
  }
  async function deliverNew(): Promise<[Event, Event, ...Event[]]> {
    const events = Array.from({ length: 20 }, () => finishedJourney())
    for (const event of events) await deliver(event)
    return events as [Event, Event]
  }
  const toBeCounted = () => redis.command('HLEN', redeliveries)
  const rows = () =>
    world.rows<{ event_id: string; duplicates: number }>('select event_id, duplicates from events')
  const sum = (counts: Iterable<number>) => Iterator.from(counts).reduce((total, count) => total + count, 0)
  /** Waits until nothing is under way, and compares what has landed. */
  async function expectLanded(): Promise<void> {
    const landed = await eventually(async () => {
      const { inbox, queue: jobs } = await countBacklog({ db, queue })
      if (inbox !== 0 || jobs !== 0 || (await toBeCounted()) !== 0) return false
      const found = await rows()
      // A worker takes the counts out of Redis before it writes them.
      return sum(found.map(({ duplicates }) => duplicates)) >= sum(expected.values()) && found
    })
    expect(landed).toHaveLength(expected.size)
    expect(new Map(landed.map((row) => [row.event_id, row.duplicates]))).toEqual(expected)
  }

  const first = await openWorker(world)
  const landed = await deliverNew()
  await expectLanded()
  await first[Symbol.asyncDispose]()
  const waiting = await deliverNew()
  for (const event of [landed[0], waiting[0]]) await deliver(event)
  await eventually(async () => (await toBeCounted()) === 2)
  await copyFiles(redis, join(dir, 'copy'))

  stack.use(await openWorker(world))
  await expectLanded()
  const later = await deliverNew()
  await expectLanded()

  await redis.kill()
  // They take the inbox.
  await deliverNew()
  await putBack(redis, join(dir, 'copy'))
  // The copy does not know that these two deliveries were counted already.
  for (const { eventId } of [landed[0], waiting[0]]) expected.set(eventId, 2)
  await expectLanded()
  // Jobs that had landed ran again, and those that came later are gone.
  expect(await queue.counts()).toMatchObject({ completed: landed.length + waiting.length })

  for (const event of [landed[1], waiting[1], later[0]]) await deliver(event)
  await expectLanded()
  expect(await world.rows('select 1 from dead_letters')).toEqual([])
  expect(await rebuildJourneys(db)).toEqual({ folded: expected.size, changed: 0 })
})

/** While Redis runs, but not while it rewrites its files. */
async function copyFiles(redis: RedisServer, copy: string): Promise<void> {
  await redis.configure('auto-aof-rewrite-percentage', 0)
  await eventually(async () =>
    String(await redis.command('INFO', 'persistence')).includes('aof_rewrite_in_progress:0'),
  )
  for (const name of await files(redis))
    await cp(join(redis.dir, name), join(copy, name), { recursive: true })
  await redis.configure('auto-aof-rewrite-percentage', 100)
}

async function putBack(redis: RedisServer, copy: string): Promise<void> {
  for (const name of await files(redis)) await rm(join(redis.dir, name), { recursive: true })
  await cp(copy, redis.dir, { recursive: true })
  await redis.start()
}

/** The append-only file; from Redis 7 on a folder of files. */
async function files({ dir }: RedisServer): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.startsWith('appendonly'))
}
