import { globSync, readFileSync } from 'node:fs'
import { createAudit, findEvent, rebuildJourneys, replayDeadLetter } from '@sluice/shared/db'
import { countBacklog } from '@sluice/shared/operations'
import { createQueueAdmin, shardPrefix } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { PROGRAMS, run } from '@sluice/testkit/process'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Expected, readJourneys, type StoredJourney } from './expected.ts'
import { loadPostgres } from './load.ts'
import { writeKeys } from './redis-keys.ts'

/** The releases of which there is a fixture. */
const RELEASES = globSync('*/expected.json', { cwd: import.meta.dirname }).map((path) => path.split('/')[0])

describe.each(RELEASES)('stores that release %s has left behind, after sluice migrate', (release) => {
  const text = (name: string) => readFileSync(`${import.meta.dirname}/${release}/${name}`, 'utf8')
  const expected: Expected = JSON.parse(text('expected.json'))
  let stack: AsyncDisposableStack
  let world: World
  /** What is stored after the migration, before any worker runs. */
  let migrated: Awaited<ReturnType<typeof readAll>>

  beforeAll(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('redis'))
    await loadPostgres(world, text('postgres.sql'))
    await loadRedis(world, JSON.parse(text('redis.json')))
    await using migrate = run(PROGRAMS.cli, ['migrate'], world.env)
    expect(await migrate.exited, migrate.output()).toBe(0)
    migrated = await readAll(world)
    stack.use(await openWorker(world))
    await nothingWaits()
  })
  afterAll(() => stack.disposeAsync())

  /** Jobs and rows have ended, and the redeliveries are counted that the queue has dropped. */
  async function nothingWaits(): Promise<void> {
    const { redisUrl: url, queuePrefix: prefix, db } = world
    await using queue = createQueueAdmin({ url, prefix, shards: 1 }, createLog('test', 'fatal'))
    const deliveries = expected.events.reduce((sum, { after }) => sum + after, 0)
    await eventually(async () => {
      const { inbox, queue: jobs } = await countBacklog({ db, queue })
      const { events } = await readAll(world)
      const counted = events.reduce((sum, { state }) => sum + Number(state), 0)
      return inbox === 0 && jobs === 0 && counted >= deliveries
    }, 40_000)
  }

  it('have every event once, with its bytes, and count as many duplicates', () => {
    expect(migrated.events).toEqual(statesOf(expected.events, 'before'))
  })

  it('have every journey and every dead letter as it was', () => {
    expect(migrated.journeys).toEqual(expected.journeys)
    expect(migrated.deadLetters).toEqual(statesOf(expected.deadLetters, 'before'))
  })

  it('have jobs and inbox rows that land once, or count as the duplicates that they are', async () => {
    const { events, deadLetters } = await readAll(world)
    expect(events).toEqual(statesOf(expected.events, 'after'))
    expect(deadLetters).toEqual(statesOf(expected.deadLetters, 'after'))
  })

  it('have journeys that go on as if their events had come to this release', async () => {
    const unchanged = ({ journey_id }: StoredJourney) => !expected.changing.includes(String(journey_id))
    const kept = new Set(expected.journeys.map(nameOf))
    const { journeys } = await readAll(world)
    expect(journeys.filter((row) => kept.has(nameOf(row)) && unchanged(row))).toEqual(
      expected.journeys.filter(unchanged),
    )
    await rebuildJourneys(world.db)
    expect((await readAll(world)).journeys).toEqual(journeys)
  })

  it('take a redelivery of an event for a duplicate', async () => {
    const known = expected.events.find(({ eventId, before }) => eventId !== null && before === 0)
    const read = async () => (await findEvent(world.db, String(known?.eventId))).events
    const [event] = await read()
    await using door = await openDoor(world)
    expect((await door.post(new Uint8Array(event?.raw ?? []))).status).toBe(200)
    await eventually(async () => (await read())[0]?.duplicates === 1)
    expect(await read()).toHaveLength(1)
  })

  it('have dead letters that can be replayed, and then land with their bytes', async () => {
    const letter = expected.deadLetters.find(
      ({ reason, after }) => reason.startsWith('rejected') && after === 'open',
    )
    const find = () => findEvent(world.db, String(letter?.eventId))
    const id = (await find()).deadLetters[0]?.id ?? 0
    expect(await replayDeadLetter(world.db, { id, actor: 'test' })).toEqual({ kind: 'done' })
    const { events, deadLetters } = await eventually(async () => {
      const found = await find()
      return found.events.length > 0 && found
    })
    expect(events.map(({ bodySha256 }) => bodySha256.toString('hex'))).toEqual([letter?.sha256])
    expect(deadLetters.map(({ state }) => state)).toEqual(['resolved'])
  })
})

type Known = { readonly before: unknown; readonly after: unknown; readonly sha256: string }

/** What should be there at a time, as `readAll` reads it. */
function statesOf<Item extends Known>(items: readonly Item[], when: 'before' | 'after') {
  const states = items.flatMap(({ before, after, ...item }) => {
    const state = when === 'before' ? before : after
    return state === null ? [] : [{ ...item, state }]
  })
  return sorted(states)
}

async function readAll({ db }: World) {
  const audit = createAudit(db)
  const events = await Array.fromAsync(audit.events(), (row) => {
    expect(row.stored_sha256).toBe(row.body_sha256)
    return {
      environment: row.environment,
      eventId: row.event_id,
      sha256: row.body_sha256,
      state: row.duplicates,
    }
  })
  const deadLetters = await Array.fromAsync(audit.deadLetters(), (row) => ({
    reason: row.reason,
    eventId: row.event_id,
    sha256: row.body_sha256,
    state: row.state,
  }))
  return { events: sorted(events), deadLetters: sorted(deadLetters), journeys: await readJourneys(db) }
}

function sorted<Item extends { sha256: string }>(items: readonly Item[]): Item[] {
  return items.toSorted((a, b) => (a.sha256 < b.sha256 ? -1 : 1))
}

const nameOf = ({ environment, journey_id }: StoredJourney) => `${environment} ${journey_id}`

async function loadRedis(
  { redisUrl, queuePrefix }: World,
  keys: Parameters<typeof writeKeys>[2],
): Promise<void> {
  const client = new Redis(redisUrl)
  await writeKeys(client, shardPrefix(queuePrefix, 0), keys)
  client.disconnect()
}
