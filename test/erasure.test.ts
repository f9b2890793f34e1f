import { hash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { createErasedSubjects, insertInbox, landJobs } from '@sluice/shared/db'
import { encodeRaw, writeEnvelope } from '@sluice/shared/envelope'
import { erase, planErasure, verifyErasures } from '@sluice/shared/operations'
import { createQueueAdmin, openQueue, shardPrefix } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { giveUpJob } from '@sluice/testkit/given-up-job'
import { run, runWorker } from '@sluice/testkit/process'
import { createRedisServer } from '@sluice/testkit/redis-server'
import { makeRoot } from '@sluice/testkit/sandbox'
import { createWorld, eventually, openDoor, type World } from '@sluice/testkit/world'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { found } from './support/stored-text.ts'

const log = createLog('test', 'fatal')
const ADA = { journeyId: 'journey-of-ada-7f3a', referenceNo: 'reference-of-ada-91', fullName: 'Ada Lovelace' }
const BOB = { journeyId: 'journey-of-bob-55', referenceNo: 'reference-of-bob-2', fullName: 'Bob Boole' }
const OF_ADA = [ADA.journeyId, ADA.referenceNo, ADA.fullName, 'event-of-ada']
const FAILPOINTS = ['erase-after-jobs', 'erase-after-rows', 'erase-after-files']

it('an erasure that is killed at every step goes on, until no table, key or file of Redis has anything of the person', async () => {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await createRedisServer({ dir: join(makeRoot(), 'redis') }))
  const world = stack.use(await createWorld('redis', { redisUrl: redis.url }))
  const client = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  const door = stack.use(await openDoor(world))
  await using worker = runWorker(world.env)
  const landed = [
    eventOf('Finished Step', { ...ADA, eventId: 'event-of-ada-1' }),
    eventOf('Finished Journey', { ...ADA, eventId: 'event-of-ada-2', systemDecision: 'Complete' }),
    eventOf('Finished Journey', { ...BOB, eventId: 'event-of-bob-1', systemDecision: 'Complete' }),
  ]
  for (const event of landed) await door.post(event)
  await door.post(gzipSync(eventOf('Step Submitted', { ...ADA, eventId: 'event-of-ada-3' })))
  await door.post(landed[1]?.slice(0, -20) ?? '')
  await door.post(eventOf('Finished Spot Check', { eventId: 'event-of-ada-4', referenceNo: ADA.referenceNo }))
  await insertInbox(world.db.pool, [{ jobId: 'e-odd', envelope: JSON.stringify({ v: 7, body: landed[0] }) }])
  await eventually(
    async () => (await count(world, 'events')) === 6 && (await count(world, 'dead_letters')) === 1,
  )
  // Another body under an id that is stored: a conflict.
  await door.post(eventOf('Finished Journey', { ...ADA, eventId: 'event-of-ada-2', systemDecision: 'Refer' }))
  await eventually(async () => (await count(world, 'dead_letters')) === 2)
  await worker.stop(5_000)
  await letEverythingWait(world, redis.url, door)
  const bob = await world.rows('select * from journeys where journey_id = $1', [BOB.journeyId])

  expect(filesWith(redis.dir, OF_ADA)).not.toEqual([])

  const shown = await sluice(world, ['erase', '--reference', ADA.referenceNo, '--json'])
  expect([shown.code, JSON.parse(shown.output)]).toMatchObject([
    1,
    { journeys: [{ journeyId: ADA.journeyId, events: 3 }], counts: { events: 5, dead_letters: 2, inbox: 2 } },
  ])
  const yes = ['erase', '--reference', ADA.referenceNo, '--yes', '--reason', 'asked for', '--json']
  for (const failpoint of FAILPOINTS) {
    expect([failpoint, (await sluice(world, yes, { SLUICE_FAILPOINT: failpoint })).code]).toEqual([
      failpoint,
      'SIGKILL',
    ])
  }
  const done = await sluice(world, yes)
  expect(JSON.parse(done.output)).toMatchObject({
    number: 1,
    erasure: 1,
    kind: 'reference',
    reason: 'asked for',
    counts: { events: 5, dead_letters: 2, journeys: 1, inbox: 2 },
    purgedAt: expect.any(String),
  })
  expect(await found(world.db, OF_ADA)).toEqual([])
  expect(await inRedis(client, OF_ADA)).toEqual([])
  await eventually(() => filesWith(redis.dir, OF_ADA).length === 0)
  expect(await world.rows('select * from journeys where journey_id = $1', [BOB.journeyId])).toEqual(bob)
  expect(await inRedis(client, [BOB.fullName])).not.toEqual([])
  const again = await sluice(world, yes)
  expect([again.code, JSON.parse(again.output)]).toEqual([0, JSON.parse(done.output)])

  // What comes now is known, and stays out.
  await using _late = runWorker(world.env)
  for (const event of landed) await door.post(event)
  await door.post(eventOf('AML Monitor Update', { ...ADA, eventId: 'event-of-ada-9' }))
  await door.post(
    eventOf('Finished Spot Check', { eventId: 'event-of-ada-10', referenceNo: ADA.referenceNo }),
  )
  await eventually(async () => (await world.rows('select late from erasures'))[0]?.late === 2)
  await eventually(async () => (await inRedis(client, OF_ADA)).length === 0)
  expect(await found(world.db, OF_ADA)).toEqual([])
  const admin = stack.use(createQueueAdmin({ url: redis.url, prefix: world.queuePrefix, shards: 1 }, log))
  await admin.ready(3_000)
  const stores = { db: world.db, queue: admin, location: undefined }
  expect(await verifyErasures(stores, [])).toMatchObject({ receipts: 1, problems: [], waiting: 0 })
}, 240_000)

it('an erasure deletes nothing before a worker has ended that was landing events without knowing of it', async () => {
  await using world = await createWorld('inbox')
  const stores = { db: world.db, queue: undefined, location: undefined }
  const subjects = createErasedSubjects(log)
  const gate = Promise.withResolvers<void>()
  const isLanding = Promise.withResolvers<void>()
  const landing = world.db.landingTransaction(async (connection, now, erasures) => {
    const erased = await subjects.asOf(connection, erasures)
    isLanding.resolve()
    await gate.promise
    await landJobs(connection, [jobOf(eventOf('Finished Step', { ...ADA, eventId: 'event-of-ada-1' }))], {
      now,
      erased,
    })
  })
  await isLanding.promise
  const plan = await planErasure(stores, { kind: 'journey', name: ADA.journeyId })
  const limits = { landingsMs: 0, jobsMs: 0, filesMs: 10_000 }
  await expect(erase(stores, plan, { actor: 'me', limits })).rejects.toThrow(/landing events since before/)
  gate.resolve()
  await landing
  expect(await count(world, 'events')).toBe(1)
  const receipt = await erase(stores, plan, { actor: 'me' })
  expect([receipt.counts, await found(world.db, OF_ADA)]).toEqual([{ events: 1, journeys: 1 }, []])
})

it('an erasure leaves the events of the journey out of the archives, and the others as they were', async () => {
  const archives = makeRoot()
  await using world = await createWorld('inbox')
  const lines = [ADA, BOB, ADA].map((who, at) =>
    lineOf(at, eventOf('Finished Step', { ...who, eventId: `e-${at}` })),
  )
  const file = gzipSync(lines.join(''))
  const manifest = {
    partition: 'events_20260101',
    events: 3,
    firstProcessedAt: '2026-01-01',
    lastProcessedAt: '2026-01-01',
    bytes: file.length,
    sha256: hash('sha256', file),
    release: '0.2.0',
  }
  writeFileSync(join(archives, 'events_20260101.jsonl.gz'), file)
  writeFileSync(join(archives, 'events_20260101.json'), JSON.stringify(manifest))
  const stores = { db: world.db, queue: undefined, location: undefined, copies: { archives } }
  const plan = await planErasure(stores, { kind: 'journey', name: ADA.journeyId })
  expect((await erase(stores, plan, { actor: 'me' })).counts).toEqual({ archives: 2 })
  const kept = gunzipSync(readFileSync(join(archives, 'events_20260101.jsonl.gz'))).toString()
  expect(kept).toBe(lines[1])
  expect(JSON.parse(readFileSync(join(archives, 'events_20260101.json'), 'utf8'))).toMatchObject({
    events: 1,
  })
})

/** An event as the archives have it. */
function lineOf(n: number, raw: string): string {
  const event = {
    event_key: hash('sha256', String(n)),
    processed_at: '2026-01-01',
    environment: 'live',
    raw: Buffer.from(raw).toString('base64'),
  }
  return `${JSON.stringify(event)}\n`
}

/** Events of both in the inbox, and as jobs that wait, are delayed, have failed, and were redelivered. */
async function letEverythingWait(
  world: World,
  redisUrl: string,
  door: { post(body: string): Promise<Response> },
) {
  const prefix = shardPrefix(world.queuePrefix, 0)
  const ofBoth = (n: number) =>
    [ADA, BOB].map((who, at) =>
      eventOf('Finished Step', { ...who, eventId: `event-of-${at ? 'bob' : 'ada'}-${n}` }),
    )
  for (const event of [...ofBoth(20), ...ofBoth(20), ...ofBoth(21)])
    expect((await door.post(event)).status).toBe(200)
  await using queue = queueOf(redisUrl, prefix)
  const [given] = await queue.queue.getJobs('waiting')
  await giveUpJob(redisUrl, prefix, String(given?.id))
  for (const [at, event] of ofBoth(22).entries()) {
    const envelope = JSON.parse(writeEnvelope(jobOf(event).envelope))
    await queue.queue.add(randomUUID(), envelope, { jobId: `e-delayed-${at}`, delay: 3_600_000 })
  }
  await queue.queue.add(
    'odd',
    { no: 'envelope', text: Buffer.from(ADA.journeyId).toString('base64').repeat(1), of: ADA.journeyId },
    { jobId: 'odd' },
  )
  await insertInbox(
    world.db.pool,
    [...ofBoth(23), ...ofBoth(24)].map((event, at) => {
      const { jobId, envelope } = jobOf(event)
      const packed = encodeRaw(gzipSync(event))
      return { jobId, envelope: writeEnvelope(at < 2 ? envelope : { ...withoutRaw(envelope), ...packed }) }
    }),
  )
}

function queueOf(redisUrl: string, prefix: string) {
  const client = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const queue = openQueue(client, prefix)
  return {
    queue,
    async [Symbol.asyncDispose]() {
      await queue.close()
      client.disconnect()
    },
  }
}

function jobOf(raw: string) {
  const envelope = { v: 1 as const, env: 'live', at: Date.now(), deliveryId: randomUUID(), raw }
  return { jobId: `e-${randomUUID()}`, envelope, via: 'inbox' as const, duplicates: 0, replayOf: null }
}

function withoutRaw({ raw: _, ...envelope }: ReturnType<typeof jobOf>['envelope']) {
  return envelope
}

async function sluice(world: World, args: readonly string[], env: Record<string, string> = {}) {
  await using command = run('apps/cli/src/main.ts', args, { ...world.env, ...env })
  const code = await command.exited
  return { code, output: command.output() }
}

async function count(world: World, table: string): Promise<number> {
  const [row] = await world.rows<{ n: number }>(`select count(*)::int as n from ${table}`)
  return row?.n ?? 0
}

/** The keys whose dump, name, fields or members contain any of the texts. */
async function inRedis(client: Redis, texts: readonly string[]): Promise<string[]> {
  const keys = await client.keys('*')
  const contents = await Promise.all(
    keys.map(async (key) => [key, JSON.stringify([key, await contentOf(client, key)])] as const),
  )
  return contents.flatMap(([key, content]) => (texts.some((text) => content.includes(text)) ? [key] : []))
}

async function contentOf(client: Redis, key: string): Promise<unknown> {
  switch (await client.type(key)) {
    case 'hash':
      return client.hgetall(key)
    case 'list':
      return client.lrange(key, 0, -1)
    case 'set':
      return client.smembers(key)
    case 'zset':
      return client.zrange(key, 0, '-1')
    case 'stream':
      return client.xrange(key, '-', '+')
    default:
      return client.get(key)
  }
}

function filesWith(dir: string, texts: readonly string[]): string[] {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name))
  return paths.filter((path) => {
    const content = readFileSync(path)
    return texts.some((text) => content.includes(text))
  })
}

function eventOf(event: string, body: Record<string, string>): string {
  return JSON.stringify({ event, body })
}
