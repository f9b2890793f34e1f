import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { finishedJourney } from '@sluice/testkit/event'
import { runWorker } from '@sluice/testkit/process'
import { createRedisServer } from '@sluice/testkit/redis-server'
import { makeRoot } from '@sluice/testkit/sandbox'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { announceProcess, createDb, describeProcess } from '../src/db/index.ts'
import { describeState, readState, type State, type Stores } from '../src/operations/index.ts'
import { CAUSES } from '../src/operations/state/causes.ts'
import { createQueueAdmin } from '../src/queue/index.ts'
import { createLog } from '../src/runtime/index.ts'

const log = createLog('test', 'silent')
const MINUTE_MS = 60_000

describe('the state', () => {
  let stack: AsyncDisposableStack
  let world: World
  beforeEach(() => {
    stack = new AsyncDisposableStack()
  })
  afterEach(() => stack.disposeAsync())

  async function open(way: 'redis' | 'inbox' = 'inbox', redisUrl?: string): Promise<Stores> {
    world = stack.use(await createWorld(way, redisUrl ? { redisUrl } : {}))
    const location = world.workerConfig.queue
    const queue = location && stack.use(createQueueAdmin(location, log))
    return { db: world.db, queue, location }
  }
  const kinds = ({ causes }: State) => causes.map(({ kind }) => kind)
  /** Signs of life of an ingest and a worker, so that nothing else is wrong. */
  function pretend(): void {
    for (const app of ['ingest', 'worker'] as const) {
      stack.use(announceProcess(world.db, describeProcess(app, undefined), log))
    }
  }
  async function readWith(stores: Stores, isSeen: (state: State) => boolean): Promise<State> {
    return eventually(async () => {
      const state = await readState(stores)
      return isSeen(state) && state
    })
  }

  it.each(['redis', 'inbox'] as const)('counts what came, landed and was refused: %s', async (way) => {
    const stores = await open(way)
    const empty = await readState(stores)
    expect([empty.level, kinds(empty)]).toEqual(['fail', ['no_ingest', 'no_worker']])
    const door = stack.use(await openDoor(world))
    stack.use(await openWorker(world))
    const { bytes } = finishedJourney()
    for (const body of [bytes, bytes, finishedJourney().bytes]) await door.post(body)
    await door.post(bytes, { environment: 'sandbox' })
    await door.post(bytes, { headers: { authorization: 'Bearer wrong' } })

    const state = await readWith(
      stores,
      ({ figures }) =>
        figures.recorded?.flow.lastHour.landed === 3 && figures.recorded.flow.lastHour.accepted === 4,
    )
    expect([state.level, state.causes]).toEqual(['ok', []])
    expect(state.sentence).toMatch(/^Events flow\. The last one came \d+ s ago\.$/)
    const { flow, workers, ingests } = state.figures.recorded as NonNullable<State['figures']['recorded']>
    expect(flow.lastHour.refused).toEqual({ unauthorised: 1 })
    expect(flow.processing?.p99Ms).not.toBe(undefined)
    expect(flow.lastEvents).toEqual({ live: expect.any(Date), sandbox: expect.any(Date) })
    expect(flow.perMinute).toHaveLength(60)
    expect([workers.length, ingests.length]).toEqual([1, 1])
    expect(state.figures.waiting).toEqual({
      inbox: { count: 0, isMore: false },
      queue: way === 'redis' ? 0 : null,
      oldestMs: null,
      unknown: [],
    })
    expect(describeState(state).split('\n').length).toBeLessThanOrEqual(25)
    expect(describeState(state)).toContain('wrong credentials 1')
  })

  it('says that nobody consumes after the workers were killed, and how many events wait', async () => {
    const stores = await open('redis')
    const door = stack.use(await openDoor(world))
    const worker = stack.use(runWorker(world.env))
    await worker.printed(/worker takes events/)
    await readWith(stores, (state) => state.level === 'ok')
    worker.kill('SIGKILL')
    await worker.exited
    // The time passes.
    await world.rows(`update processes set seen_at = seen_at - interval '8 s' where app = 'worker'`)
    for (let n = 0; n < 3; n++) await door.post(finishedJourney().bytes)
    const state = await readWith(stores, (seen) => kinds(seen).includes('nobody_consumes'))
    expect([state.level, state.sentence]).toEqual([
      'fail',
      expect.stringMatching(
        /^Nobody consumes \(the last sign of one was \d+ s ago\): 3 events wait, the oldest for \d+ s\.$/,
      ),
    ])
    expect(state.causes[0]?.next).toMatchObject({ command: 'docker compose up -d worker' })
  })

  it('says that events take the inbox while Redis does not answer, and since when', async () => {
    const redis = stack.use(await createRedisServer({ dir: join(makeRoot(), 'redis') }))
    const stores = await open('redis', redis.url)
    const door = stack.use(await openDoor(world))
    stack.use(await openWorker(world))
    const well = await readWith(stores, (state) => state.level === 'ok')
    redis.signal('SIGSTOP')
    await door.post(finishedJourney().bytes)
    const state = await eventually(async () => {
      const seen = await readState(stores, { before: well, redisMs: 200 })
      return kinds(seen).includes('redis_down') && seen
    })
    redis.signal('SIGCONT')
    expect([state.level, state.sentence]).toEqual([
      'warn',
      expect.stringMatching(/^Redis does not answer: events go to the inbox \(\d wait there\)\.$/),
    ])
    // Nobody knows what waits in Redis.
    expect(state.figures.waiting).toMatchObject({ queue: null, unknown: ['queue'] })
    expect(describeState(state)).toMatch(/^waiting +not known: Redis does not answer; \d in the inbox/m)
    const [cause] = state.causes
    const began = new Date(Date.now() - 3 * MINUTE_MS)
    expect(cause?.since).toEqual(state.at)
    redis.signal('SIGSTOP')
    const later = await readState(stores, {
      before: { ...state, since: new Map([['redis_down', { at: began, isExact: true }]]) },
      redisMs: 200,
    })
    redis.signal('SIGCONT')
    expect(later.sentence).toMatch(/^Redis has not answered for 3 min: /)
    await readWith(stores, ({ level }) => level === 'ok')
  })

  it('does not judge a silence in which Postgres was away', async () => {
    const stores = await open()
    const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000)
    await world.rows(`insert into processes (id, app, release, seen_at)
      select gen_random_uuid(), app, 'x', now() - interval '24 s' from unnest('{ingest,worker}'::text[]) as app`)
    const before = { ...(await readState(stores)), at: ago(22) }
    expect(kinds(before)).toEqual(['no_ingest', 'no_worker'])
    const away = stack.use(
      createDb('postgres://x@127.0.0.1:1/x', { max: 1, statementMs: 1_000, log, name: 'test' }),
    )
    const down = await readState({ ...stores, db: away }, { before })
    const back = await readState(stores, { before: down })
    expect([kinds(down), kinds(back), back.figures.recorded?.workers.length]).toEqual([['no_store'], [], 1])
    const later = { ...back, outage: { from: ago(35), to: ago(13) } }
    expect(kinds(await readState(stores, { before: later }))).toEqual(['no_ingest', 'no_worker'])
    const atStart = await readState({ ...stores, db: away })
    await world.rows(`update processes set seen_at = now() - interval '20 min'`)
    expect(kinds(await readState(stores, { before: atStart }))).toEqual([])
  })

  it('names a store that may lose events, as the ingest has found it', async () => {
    const settings = { appendfsync: 'everysec' }
    const redis = stack.use(await createRedisServer({ dir: join(makeRoot(), 'redis'), settings }))
    const stores = await open('redis', redis.url)
    stack.use(await openDoor(world))
    stack.use(await openWorker(world))
    const state = await readWith(stores, (seen) => kinds(seen).includes('unsafe'))
    expect(state.sentence).toMatch(/A store may lose events\. Redis: .*everysec/)
  })

  it('counts open dead letters and their groups', async () => {
    const stores = await open()
    pretend()
    await readWith(stores, ({ level }) => level === 'ok')
    await world.rows(`insert into dead_letters (job_id, reason, error_class, error_message, fingerprint, attempts, raw,
        envelope, state)
      select 'job-' || i, 'rejected_by_database', 'E', 'm', 'f' || i % 3, 1, '', '', case when i < 12 then 'open' else 'discarded' end
      from generate_series(1, 20) as i`)
    const state = await readState(stores)
    expect(state.level).toBe('warn')
    expect(state.causes.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^11 dead letters are open, in 3 groups, the newest \d+ s ago\.$/),
    ])
    expect(state.causes[0]?.next).toMatchObject({ link: '/dead-letters' })
  })

  it('says that it is quieter than usual at this hour of the week', async () => {
    const stores = await open()
    pretend()
    await world.rows(
      `insert into minutes (minute, process, role, counters)
        select date_trunc('hour', now()) - weeks * interval '7 days' + minute * interval '1 minute', 'p', 'ingest',
          '{"counts": {"answers live accepted": 3}}' from generate_series(1, 4) weeks, generate_series(0, 59, 4) minute
        union all select date_trunc('minute', now() - interval '41 min'), 'q', 'ingest',
          jsonb_build_object('last', jsonb_build_object('live', $1::float8))`,
      [Date.now() - 41 * MINUTE_MS - 1_000],
    )
    const state = await readWith(stores, ({ level }) => level === 'warn')
    expect(state.sentence).toBe('No live event for 41 min; usual at this hour: one in 4 min.')
  })

  it('tells when IDWise tries refused events again and gives up, and on how many it has', async () => {
    const stores = await open()
    pretend()
    const refuse = (count: number, minutesAgo: number) =>
      world.rows(
        `insert into refusals (event_key, environment, first_refused_at, last_refused_at, deliveries)
          select sha256($1::bytea), 'live', at, at, 1 from generate_series(1, $2::int),
            lateral (select now() - $3::float8 * interval '1 minute' as at) as t`,
        [Buffer.from(randomUUID()), count, minutesAgo],
      )
    await refuse(1, 2)
    await refuse(1, 40)
    const state = await readWith(stores, ({ causes }) => causes.length === 2)
    expect(state.causes.map(({ text }) => text)).toEqual([
      expect.stringMatching(
        /^1 refused event has not come again: IDWise tries again at (\S+, )?\d\d:\d\d UTC, and gives up at (\S+, )?\d\d:\d\d UTC; count on nothing after (\S+, )?\d\d:\d\d UTC\.$/,
      ),
      'IDWise has given up on 1 event that was refused.',
    ])
    const { nextTryAt, givesUpAt } = state.figures.recorded?.refusals ?? {}
    const inMinutes = (at: Date | null | undefined) =>
      Math.round(((at?.getTime() ?? 0) - Date.now()) / MINUTE_MS)
    expect([inMinutes(nextTryAt), inMinutes(givesUpAt)]).toEqual([3, 28])
  })

  it('names settings that do not fit together, and a database that is not migrated', async () => {
    const stores = await open()
    pretend()
    const queue = { prefix: 'elsewhere', shards: 1 }
    stack.use(announceProcess(world.db, describeProcess('ingest', queue), log))
    const state = await readWith(stores, (seen) => kinds(seen).includes('misfit'))
    expect(state.sentence).toMatch(
      /^No worker consumes the queue of an ingest, whose QUEUE_PREFIX is elsewhere/,
    )
    await world.rows('alter table minutes rename to away')
    expect(kinds(await readState(stores))).toEqual(['not_migrated'])
    await world.rows('alter table away rename to minutes')
  })
})

it('each cause leads to a heading of the operations page', () => {
  const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
    text.toLowerCase().replaceAll(' ', '-'),
  )
  const missing = Object.values(CAUSES).filter(({ anchor }) => !headings.includes(anchor))
  expect(missing).toEqual([])
})
