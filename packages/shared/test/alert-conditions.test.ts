import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createPrimaryAndStandby } from '@sluice/testkit/standby'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { announceProcess, createDb, describeProcess, migrateSchema } from '../src/db/index.ts'
import { conditionsOf } from '../src/operations/alerts/conditions.ts'
import { createStorageFacts } from '../src/operations/alerts/storage-facts.ts'
import { ALERT_WORDS } from '../src/operations/alerts/texts.ts'
import { readState } from '../src/operations/state/index.ts'
import { createGrowth } from '../src/queue/growth.ts'
import { createLog } from '../src/runtime/index.ts'

describe('the conditions of alerts', () => {
  let stack: AsyncDisposableStack
  let world: World
  const readFacts = createStorageFacts()
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('inbox'))
    const log = createLog('test', 'silent')
    const redis = { prefix: 'q', shards: 1 }
    for (const app of ['ingest', 'worker'] as const) {
      stack.use(announceProcess(world.db, describeProcess(app, redis), log))
    }
    await eventually(async () => (await world.rows('select from processes')).length === 2)
  })
  afterEach(() => stack.disposeAsync())

  /** The disk of this machine may be full. */
  async function conditions(disk: { free: number; fullInMs: number } | null = null) {
    const state = await readState({ db: world.db, queue: undefined })
    const { recorded } = state.figures
    if (!recorded) throw new Error('Postgres is there')
    return {
      state,
      ...conditionsOf({
        state,
        recorded,
        upMs: 60_000,
        storage: { ...(await readFacts({ db: world.db, queue: undefined }, recorded.findings)), disk },
      }),
    }
  }
  const names = async () =>
    (await conditions()).found.map(({ name, subject }) => `${name} ${subject}`.trim()).sort()
  /** What the processes counted so many minutes ago. */
  const count = async (minutes: number, counts: Record<string, number>, more: object = {}) => {
    const [self] = await world.rows<{ id: string }>(`select id from processes where app = 'ingest'`)
    await world.rows(
      `insert into minutes (minute, process, role, counters)
        values (date_trunc('minute', now()) - $1 * interval '1 minute', $2, 'ingest', $3)`,
      [minutes, self?.id, JSON.stringify({ counts, last: { live: 1_000 }, ...more })],
    )
  }

  it('are none while all is well', async () => {
    await count(0, { 'answers live accepted': 5, 'enqueued redis': 5 })
    expect(await conditions()).toMatchObject({ found: [], held: [] })
  })

  it('tell of refusals when IDWise gives up, also once more before that, and of those that it gave up on', async () => {
    const at = Date.now()
    await count(0, {}, { lastRefused: at })
    await world.rows(
      `insert into refusals (event_key, environment, first_refused_at, last_refused_at, deliveries) values
        ('\\x01', 'live', $1::timestamptz, $1, 1), ('\\x02', 'live', $1, $1, 1)`,
      [new Date(at)],
    )
    const { found, held } = await conditions()
    expect(found.map(({ name }) => name)).toEqual(['refusing'])
    expect(held).toEqual(['refusing'])
    const time = new Date(at + 1_800_000).toISOString().slice(11, 19)
    expect(found[0]?.text).toMatch(
      /^Ingests refuse events. IDWise gives up on the first of 2 refused events in (29|30) min/,
    )
    expect(found[0]?.text).toContain(`${time} UTC`)
    const sure = new Date(at + 900_000).toISOString().slice(11, 19)
    expect(found[0]?.text).toMatch(new RegExp(`; count on nothing after .*${sure} UTC\\.`))
    await world.rows(`update refusals set first_refused_at = now() - interval '11 minutes',
      last_refused_at = now() - interval '6 minutes' where event_key = '\\x01'`)
    await world.rows(`update refusals set first_refused_at = now() - interval '50 minutes',
      last_refused_at = now() - interval '20 minutes' where event_key = '\\x02'`)
    expect(await names()).toEqual(['given-up', 'refusing', 'refusing IDWise gives up soon'])
  })

  it('tell that nobody consumes, or receives', async () => {
    await count(0, {})
    await world.rows(`update processes set seen_at = now() - interval '1 minute'`)
    expect(await names()).toEqual(['no-ingest', 'nobody-consumes no worker'])
  })

  it('tell of ten wrong credentials of known senders in a row, unless a request was right meanwhile', async () => {
    await count(9, { 'wrongSecrets live': 50, 'answers live accepted': 1 })
    await count(5, { 'wrongSecrets live': 6, 'wrongSecrets sandbox': 90, 'answers live unauthorised': 99 })
    await count(0, { 'wrongSecrets live': 3 })
    expect(await names()).toEqual([])
    await count(1, { 'wrongSecrets live': 1 })
    expect(await names()).toEqual(['credentials-refused live'])
  })

  it('tell that events have gone to the inbox for five minutes', async () => {
    await count(6, { 'enqueued redis': 9 })
    await count(4, { 'enqueued inbox': 9 })
    await count(0, { 'enqueued inbox': 9 })
    expect(await names()).toEqual([])
    await world.rows(`update minutes set minute = minute - interval '1 minute'`)
    await count(0, { 'enqueued inbox': 1 })
    expect(await names()).toEqual(['fallback'])
    // Without a further event nobody knows whether it is over.
    await world.rows(`update minutes set minute = minute - interval '3 minutes'`)
    expect(await conditions()).toMatchObject({ found: [], held: ['fallback'] })
    await count(0, { 'enqueued redis': 1 })
    expect(await conditions()).toMatchObject({ found: [], held: [] })
  })

  it('tell of silence that is three times as long as the longest gap, and of half an hour at least', async () => {
    const hour = new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000)
    for (const week of [1, 2, 3, 4]) {
      await world.rows(
        `insert into minutes (minute, process, role, counters)
          select $1::timestamptz - $2 * interval '7 days' + n * interval '10 minutes', 'p', 'ingest', $3 from generate_series(0, 5) n`,
        [hour, week, JSON.stringify({ counts: { 'answers live accepted': 1 }, last: {} })],
      )
    }
    for (const [minutes, expected] of [
      [29, []],
      [31, ['silence']],
    ] as const) {
      await world.rows('delete from minutes where minute > $1::timestamptz', [
        new Date(hour.getTime() - 86_400_000),
      ])
      await count(0, {}, { last: { live: Date.now() - minutes * 60_000 } })
      expect(await names()).toEqual(expected)
    }
  })

  it('tell of dead letters by group and by number, and of conflicts', async () => {
    await count(0, {})
    await bury(
      world,
      Array.from({ length: 12 }, () => finishedJourney().bytes),
    )
    expect(await names()).toEqual([
      expect.stringMatching(/^dead-letters \w+$/),
      expect.stringMatching(/^dead-letters \w+ 10$/),
    ])
    await world.rows(`update dead_letters set error_class = 'error 23514', error_message =
      'new row of Ada for relation "events" violates check constraint "adults": "Ada Lovelace"'`)
    const [told] = (await conditions()).found
    expect(told?.text).toMatch(
      /^12 events are dead letters for one reason \(.*, Finished Journey\): error 23514, relation "events", constraint "adults"\.\n/,
    )
    expect(told?.text).toContain(`\nThis group: npx sluice dead list --group ${told?.subject}\n`)
    expect(told?.text).not.toContain('Ada')
    await world.rows(`update dead_letters set reason = 'conflict'`)
    expect(await names()).toEqual([
      expect.stringMatching(/^conflict/),
      expect.stringMatching(/^conflict .* 10$/),
    ])
  })

  it('tell what the checks of the processes have found, once for each store', async () => {
    const finding = (alert: string) => ({ alert, name: 'Redis', text: 'is so', advice: 'Mend it.' })
    const findings = ['store-emptied', 'store-read-only', 'store-full', 'replica-gone', 'backup-behind'].map(
      finding,
    )
    await count(0, {}, { findings, unsafe: ['Redis: appendfsync everysec'] })
    expect(await names()).toEqual([
      'backup-behind Redis',
      'replica-gone Redis',
      'store-emptied Redis',
      'store-full Redis',
      'store-read-only Redis',
      'store-unsafe',
    ])
  })

  it('tell that partitions end, that the disk fills, and that an erased person is sent', async () => {
    await count(0, {})
    await world.rows(
      `insert into erasures (kind, subjects, actor, late, last_late_at) values ('journey', array['\\x01'::bytea], 'ada', 1, now())`,
    )
    const partitions = await world.rows<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass`,
    )
    for (const { name } of partitions) await world.rows(`drop table ${name}`)
    expect(await names()).toEqual(['erased-sends', 'partitions-missing'])
    const { found } = await conditions({ free: 0.09, fullInMs: 1_200_000 })
    expect(found.map(({ subject }) => subject)).toEqual(
      expect.arrayContaining(['disk of Postgres', 'disk of Postgres, soon']),
    )
  })

  it('tell that retention is more than a day behind the term that was accepted', async () => {
    await count(0, {})
    await world.rows(`create table events_old partition of events
      for values from (now() - interval '50 days') to (now() - interval '32 days')`)
    const accept = (days: number) =>
      world.rows(`update retention set accepted = $1, accepted_at = now(), accepted_by = 'ada'`, [
        JSON.stringify({ events: days, keys: null, deadLetters: null, archive: false }),
      ])
    await accept(32)
    expect(await names()).toEqual([])
    await accept(30)
    expect((await conditions()).found).toMatchObject([
      { name: 'retention-behind', text: expect.stringMatching(/^Retention is 2 d behind its terms/) },
    ])
  })

  it('tell each of the newest differences from what is documented, until a person knows it', async () => {
    await count(0, { 'answers live accepted': 5, 'enqueued redis': 5 })
    await world.rows(
      `insert into drifts (environment, kind, path, value, events, first_seen_at, last_seen_at, count, sample)
        select 'live', 'field', 'body.f' || n, '', '{finished_journey}', now(), now(), 1, '' from generate_series(1, 21) n`,
    )
    const { found, held } = await conditions()
    expect([found.length, held]).toEqual([20, ['drift']])
    expect(found[0]).toMatchObject({ name: 'drift', subject: 'live field body.f21', recovers: false })
    expect(found[0]?.text).toMatch(
      /^IDWise sends what is not documented to live: unknown field body.f21 \(finished journey\)\.\n/,
    )
    await world.rows('update drifts set acknowledged_at = now() where id > 1')
    expect([await names(), (await conditions()).held]).toEqual([['drift live field body.f1'], []])
  })
})

it('a standby of Postgres that was there and is gone is told', async () => {
  await using stack = new AsyncDisposableStack()
  const dir = stack.adopt(await mkdtemp(join(tmpdir(), 'sluice-standby-')), (path) =>
    rm(path, { recursive: true, force: true, maxRetries: 5 }),
  )
  await chmod(dir, 0o711)
  const { primary, standby } = stack.use(await createPrimaryAndStandby(dir, { synchronous: false }))
  const log = createLog('test', 'silent')
  const db = stack.use(createDb(primary.url, { max: 1, statementMs: 10_000, log, name: 'test' }))
  await migrateSchema(db)
  const read = (look = createStorageFacts()) => look({ db, queue: undefined }, [])
  const told = async () => {
    const state = await readState({ db, queue: undefined })
    if (!state.figures.recorded) throw new Error('Postgres is there')
    const { found } = conditionsOf({
      state,
      recorded: state.figures.recorded,
      storage: await read(),
      upMs: 60_000,
    })
    return found.filter(({ name }) => name === 'replica-gone').map(({ text }) => text.split('\n')[0])
  }
  await eventually(async () => (await read()).standbys === 1)
  expect(await told()).toEqual([])
  await standby.kill()
  await eventually(async () => (await read()).standbys === 0)
  // Each look is that of a new process.
  expect(await told()).toEqual(['Postgres had 1 standby, and has 0. If that is meant to be, acknowledge it.'])
  await standby.start()
  await eventually(async () => (await told()).length === 0)
})

it('a Redis that fills within half an hour at its rate is told', () => {
  let now = 0
  const growth = createGrowth(() => now)
  expect(growth.fullInMinutes('Redis', 600, 1_000)).toBeUndefined()
  now = 60_000
  expect(growth.fullInMinutes('Redis', 620, 1_000)).toBe(19)
  now = 120_000
  expect(growth.fullInMinutes('Redis', 621, 1_000)).toBeUndefined()
})

it('when Redis is full is told from its growth over some minutes, however far away', () => {
  let now = 0
  const growth = createGrowth(() => now, 300_000)
  expect(growth.fullInMs('Redis', 100, 1_000)).toBeUndefined()
  now = 10_000
  expect(growth.fullInMs('Redis', 110, 1_000)).toBe(890_000)
  now = 20_000
  expect(growth.fullInMs('Redis', 105, 1_000)).toBe(3_580_000)
  now = 310_000
  expect(growth.fullInMs('Redis', 105, 1_000)).toBeUndefined()
})

it('each alert has a runbook with the same first command', () => {
  const page = readFileSync(new URL('../../../docs/runbooks.md', import.meta.url), 'utf8')
  const runbooks = new Map(
    page.split(/^## /m).map((part) => [part.slice(0, part.indexOf('\n')), part] as const),
  )
  for (const [name, { command }] of Object.entries(ALERT_WORDS)) {
    expect(runbooks.get(name)).toContain(`**First command.** \`${command}\``)
    expect(runbooks.get(name)).toMatch(/\*\*What IDWise notices\.\*\* [\s\S]+\*\*What not to do\.\*\* /)
  }
})
