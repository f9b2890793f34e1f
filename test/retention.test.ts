import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  acceptTerms,
  checkPostgres,
  checkRetention,
  createDb,
  type Db,
  detachPartition,
  discardDeadLetter,
  ensurePartitions,
  findEvent,
  type Job,
  landJobs,
  listPartitions,
  type Partition,
  readRetention,
  rebuildJourneys,
  recordDropped,
  type Terms,
} from '@sluice/shared/db'
import { encodeRaw } from '@sluice/shared/envelope'
import { identify, parseEvent } from '@sluice/shared/idwise'
import {
  erase,
  listArchives,
  planErasure,
  readArchive,
  readJourneyPage,
  removeUnfinished,
  retainOnce,
  rewriteArchive,
  surveyRetention,
} from '@sluice/shared/operations'
import { createLog } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { startPgBouncer } from '@sluice/testkit/pgbouncer'
import { PROGRAMS, run } from '@sluice/testkit/process'
import { program } from '@sluice/testkit/programs'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'

const DAY_MS = 86_400_000
const log = createLog('test', 'silent')

let stack: AsyncDisposableStack
let world: World
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  world = stack.use(await createWorld('inbox'))
})
afterEach(() => stack.disposeAsync())

const TERMS: Terms = { events: 30, keys: null, deadLetters: null, archive: false }

/** A round with terms, as the scheduler makes one. */
const round = (terms: Partial<Terms> = {}, archiveDir?: string, db: Db = world.db) =>
  retainOnce(
    { db, log, stop: new AbortController().signal },
    { period: 'month', terms: { ...TERMS, archive: archiveDir !== undefined, ...terms }, archiveDir },
  )
const accept = () => acceptTerms(world.db, { actor: 'tester' })

/** The first round announces, and the second one acts. */
async function retain(terms: Partial<Terms> = {}, archiveDir?: string): Promise<void> {
  await round(terms, archiveDir)
  await accept()
  await round(terms, archiveDir)
}

let made = 0
/** A Finished Journey as a job. */
function jobOf(body: Record<string, unknown>, at = Date.now()): Job {
  const eventId = `e-${made++}`
  const raw = Buffer.from(JSON.stringify({ event: 'Finished Journey', body: { eventId, ...body } }))
  return {
    jobId: identify('live', raw, parseEvent(raw), at).jobId,
    envelope: { v: 1, env: 'live', at, deliveryId: `d-${made++}`, ...encodeRaw(raw) },
    via: 'inbox',
    duplicates: 0,
    replayOf: null,
  }
}

const land = (...jobs: Job[]) => world.db.landingTransaction((connection) => landJobs(connection, jobs))

/**
 * Moves the newest day's events so many days into the past, with their keys and journeys, to a partition of that day.
 */
async function age(days: number): Promise<string> {
  const day = new Date(Math.floor(Date.now() / DAY_MS - days) * DAY_MS)
  const [from, to] = [day, new Date(day.getTime() + DAY_MS)].map((time) => time.toISOString())
  const name = `events_${day.toISOString().slice(0, 10).replaceAll('-', '')}`
  await world.rows(`create table ${name} partition of events for values from ('${from}') to ('${to}')`)
  await world.rows(
    `with moved as (update events set processed_at = $1::timestamptz + (processed_at - date_trunc('day', processed_at)),
        received_at = $1::timestamptz + (received_at - date_trunc('day', received_at))
      where processed_at > now() - interval '2 days' returning event_key, processed_at)
    update event_keys k set landed_at = moved.processed_at from moved
      where k.key = encode(substring(moved.event_key for 16), 'hex')::uuid`,
    [from],
  )
  await rebuildJourneys(world.db)
  return name
}

const journeys = async () =>
  (await world.rows('select * from journeys order by environment, journey_id')).map(
    ({ updated_at: _, base: __, base_until: ___, ...row }) => row,
  )
const partitions = async () => (await listPartitions(world.db.pool)).map(({ name }) => name)
const tables = async () =>
  (
    await world.rows<{ name: string }>(`select relname as name from pg_class where relname ~ '^events_\\d+$'`)
  ).map(({ name }) => name)
const countOf = async (table: string) =>
  (await world.rows<{ count: number }>(`select count(*)::int from ${table}`))[0]?.count

async function archiveDir(): Promise<string> {
  return stack.adopt(await mkdtemp(join(tmpdir(), 'sluice-archive-')), (dir) => rm(dir, { recursive: true }))
}

describe('retention', () => {
  it('announces new terms, and acts on those that were accepted alone', async () => {
    await land(jobOf({ journeyId: 'j' }))
    const old = await age(40)
    await round()
    await round()
    expect(await partitions()).toContain(old)
    expect(await readRetention(world.db.pool)).toMatchObject({ announced: TERMS, accepted: null })

    await accept()
    await round({ events: 50 })
    expect(await partitions()).toContain(old)
    await round({ events: 30 })
    expect(await partitions()).toContain(old)
    expect((await readRetention(world.db.pool)).accepted).toMatchObject({ events: 50 })

    await accept()
    await round({ events: 30 })
    expect(await partitions()).not.toContain(old)
    expect(await countOf('events')).toBe(0)
    const actions = await world.rows('select actor, action, target from operator_actions order by id')
    expect(actions.at(-1)).toEqual({
      actor: 'tester',
      action: 'accept_retention',
      target: 'events 30 days, keys for ever, dead letters for ever',
    })
  })

  it('does not drop without an archive what an operator has accepted to be archived', async () => {
    await land(jobOf({}))
    const old = await age(40)
    const dir = await archiveDir()
    await round({}, dir)
    await accept()
    await round()
    expect(await partitions()).toContain(old)
    await round({}, dir)
    expect(await partitions()).not.toContain(old)
  })

  it('leaves a journey whose events are gone with its state, on its page as well', async () => {
    await land(jobOf({ journeyId: 'gone', systemDecision: 'Refer' }))
    await age(40)
    await retain()
    const page = await readJourneyPage(
      { db: world.db, queue: undefined },
      { environment: 'live', journeyId: 'gone' },
    )
    expect(page).toMatchObject({
      kind: 'journey',
      state: { systemDecision: 'Refer' },
      timeline: [],
      dropped: 1,
    })
  })

  it('lands no event twice, and takes another body under the id of a dropped event for a conflict', async () => {
    const first = jobOf({ journeyId: 'j', eventId: 'e' })
    await land(first)
    await age(40)
    await retain()

    const outcomes = await land(first, jobOf({ journeyId: 'j', eventId: 'e', systemDecision: 'Refer' }))
    expect(outcomes).toEqual(['late_duplicate', 'conflict'])
    expect(await countOf('events')).toBe(0)
    expect(await world.rows('select reason, state from dead_letters')).toEqual([
      { reason: 'conflict', state: 'open' },
    ])
    expect((await findEvent(world.db, 'e')).gone).toMatchObject([{ because: 'dropped' }])
  })

  it('keeps each journey as it is, also through a rebuild', async () => {
    const body = (journeyId: string, n: number) => ({
      journeyId,
      referenceNo: `r\u2028${n % 3}`,
      systemDecision: ['Complete', 'Refer', 'Odd'][n % 3],
    })
    const conflicted = jobOf({ ...body('conflicted', 0), eventId: 'conflicted' })
    const long = Array.from({ length: 300 }, (_, n) => jobOf(body('long', n), Date.now() - n * 1_000))
    await land(conflicted, ...long, jobOf(body('deleted', 1)), jobOf(body('other', 1)))
    await land(jobOf({ ...body('conflicted', 1), eventId: 'conflicted' }))
    await age(50)
    await land(...['long', 'deleted', 'conflicted'].map((name) => jobOf(body(name, 2))))
    await age(40)
    await land(...['long', 'conflicted'].map((name) => jobOf(body(name, 1))))
    await rebuildJourneys(world.db)
    const before = await journeys()
    expect(before.find((row) => row.journey_id === 'conflicted')?.needs_attention).toMatch(/another body/)

    await world.rows("delete from journeys where journey_id = 'deleted'")
    await retain()
    expect(await countOf('events')).toBe(2)
    expect(await journeys()).toEqual(before)
    expect(await rebuildJourneys(world.db)).toMatchObject({ changed: 0 })
    expect(await journeys()).toEqual(before)

    const [letter] = await world.rows<{ id: number }>('select id::int from dead_letters')
    await discardDeadLetter(world.db, { id: letter?.id as number, actor: 'tester' })
    const after = await journeys()
    expect(String(after.find((row) => row.journey_id === 'conflicted')?.needs_attention)).not.toMatch(
      /another body/,
    )
  })

  it('reads a base that an earlier release wrote, with facts missing, as if it knew nothing of them', async () => {
    await land(jobOf({ journeyId: 'j', systemDecision: 'Complete' }))
    await age(40)
    await retain()
    const before = await journeys()
    await world.rows(
      "update journeys set base = (select jsonb_agg(e - 'trigger' - 'finalWithoutManual' - 'amlVersion') from jsonb_array_elements(base) e)",
    )
    expect(await rebuildJourneys(world.db)).toMatchObject({ changed: 0 })
    expect(await journeys()).toEqual(before)
  })

  it('deletes keys and ended dead letters after their terms, and never a key of a stored event', async () => {
    await land(jobOf({ eventId: 'a' }))
    await age(40)
    await land(jobOf({ eventId: 'b' }))
    await age(35)
    await land(jobOf({ eventId: 'c' }))
    await world.rows(
      `insert into dead_letters (job_id, reason, error_class, error_message, fingerprint, attempts, raw, envelope, state, last_failed_at)
        select state || days, 'conflict', 'E', 'm', 'f', 1, '', '', state, now() - days * interval '1 day'
        from unnest(array['open', 'replaying', 'resolved', 'discarded']) as state, unnest(array[5, 20]) as days`,
    )
    await retain({ events: 37, keys: 37, deadLetters: 10 })
    expect(await countOf('events')).toBe(2)
    expect(await countOf('event_keys')).toBe(2)
    const letters = await world.rows<{ job_id: string }>('select job_id from dead_letters order by job_id')
    expect(letters.map(({ job_id }) => job_id)).toEqual([
      'discarded5',
      'open20',
      'open5',
      'replaying20',
      'replaying5',
      'resolved5',
    ])
    // The term of the keys has passed, but the event is stored.
    await round({ events: 40, keys: 20, deadLetters: 10 })
    await accept()
    await round({ events: 40, keys: 20, deadLetters: 10 })
    expect(await countOf('event_keys')).toBe(2)
  })
})

it('people see what is older than its term, what is no longer stored, and what must be accepted', async () => {
  await land(jobOf({ journeyId: 'j', eventId: 'old' }), jobOf({ journeyId: 'j', eventId: 'other' }))
  const old = await age(60)
  await land(jobOf({ journeyId: 'j', eventId: 'new' }))
  const until = (await listPartitions(world.db.pool)).find(({ name }) => name === old)?.until as Date
  const sluice = async (...args: string[]) => {
    const cli = stack.use(run(PROGRAMS.cli, args, world.env))
    return { code: await cli.exited, output: cli.output() }
  }
  expect(await accept()).toBe(null)

  await round({ keys: 50 })
  expect(await surveyRetention(world.db)).toMatchObject({
    needsAcceptance: true,
    overdue: { partitions: 1, newest: expect.any(Date) },
  })
  expect(await checkRetention(world.db)).toMatchObject([
    { level: 'warn', text: expect.stringContaining('not accepted') },
  ])

  await accept()
  expect(await checkRetention(world.db)).toMatchObject([
    { level: 'warn', text: 'events are kept 29 days longer than the term' },
  ])
  await round({ keys: 80 })
  expect(await checkRetention(world.db)).toMatchObject([{ level: 'ok' }])
  const [shown, event, journey] = await Promise.all([
    sluice('retention'),
    sluice('event', 'old'),
    sluice('journey', 'j'),
  ])
  expect(shown.output).toMatch(/accepted +events 30 days, keys 80 days.*, by tester[\s\S]*\nevents_/)
  expect(event).toMatchObject({ code: 0, output: expect.stringMatching(/no longer stored \(dropped\)/) })
  expect(journey.output).toContain(`2 events before ${until.toISOString().slice(0, 10)} are no longer stored`)
})

it('partitions are made for the time ahead, also into a hole', async () => {
  const all = await listPartitions(world.db.pool)
  const [first] = all
  await world.rows(`drop table ${first?.name}`)
  expect(await checkPartitionsOf(world)).toMatchObject([{ level: 'fail' }])
  const made = await ensurePartitions(world.db, 'day')
  const now = await listPartitions(world.db.pool)
  expect(made.length).toBeGreaterThan(0)
  expect(now.length).toBe(all.length - 1 + made.length)
  expect(await checkPartitionsOf(world)).toMatchObject([{ level: 'ok' }])
  expect(await ensurePartitions(world.db, 'day')).toEqual([])
})

const checkPartitionsOf = async ({ db }: World) =>
  (await checkPostgres(db)).filter(({ name }) => name === 'Partitions')

describe('an archive', () => {
  it('has every column of every event, is read back before the drop, and can be rewritten', async () => {
    const dir = await archiveDir()
    const jobs = ['a', 'b\u2028', 'c'].map((eventId) => jobOf({ eventId, journeyId: 'j' }))
    await land(...jobs)
    const old = await age(40)
    const [row = {}] = await world.rows<Record<string, unknown>>("select * from events where event_id = 'a'")
    await retain({}, dir)
    expect(await tables()).not.toContain(old)

    expect(await listArchives(dir)).toEqual([old])
    const events = []
    for await (const line of readArchive(dir, old)) events.push(JSON.parse(line))
    expect(events).toHaveLength(3)
    const found = events.find(({ event_id }) => event_id === 'a')
    expect(Object.keys(found).sort()).toEqual(Object.keys(row).sort())
    expect(found).toMatchObject({
      raw: (row.raw as Buffer).toString('base64'),
      body: row.body,
      event_key: (row.event_key as Buffer).toString('hex'),
    })
    const manifest = JSON.parse(await readFile(join(dir, `${old}.json`), 'utf8'))
    expect(manifest).toMatchObject({ partition: old, events: 3 })
    expect(new Date(manifest.firstProcessedAt)).toEqual(new Date(manifest.lastProcessedAt))

    expect(await rewriteArchive(dir, old, ({ event_id }) => event_id !== 'a')).toBe(1)
    const left = []
    for await (const line of readArchive(dir, old)) left.push(JSON.parse(line).event_id)
    expect(left.sort()).toEqual(['b\u2028', 'c'])
    expect(await rewriteArchive(dir, old, () => true)).toBe(0)

    await writeFile(join(dir, `.${old}.1.tmp`), 'left by a crash')
    await removeUnfinished(dir)
    expect((await readdir(dir)).sort()).toEqual([`${old}.json`, `${old}.jsonl.gz`])
  })

  it('that is damaged is written anew before anything is dropped', async () => {
    const dir = await archiveDir()
    await land(jobOf({ eventId: 'a' }))
    const old = await age(40)
    await round({}, dir)
    await accept()
    await writeFile(join(dir, `${old}.jsonl.gz`), 'damaged')
    await writeFile(join(dir, `${old}.json`), '{}')
    await round({}, dir)
    const lines = []
    for await (const line of readArchive(dir, old)) lines.push(line)
    expect(lines).toHaveLength(1)
  })

  it('leaves out what is erased while its partition goes', async () => {
    const dir = await archiveDir()
    await land(...['a', 'b', 'c'].map((eventId) => jobOf({ eventId })))
    const old = await age(40)
    const archived = async () => {
      const ids: string[] = []
      for await (const line of readArchive(dir, old)) ids.push(JSON.parse(line).event_id)
      return ids.sort()
    }
    /** A round that ends before the partition is recorded as dropped. */
    async function cutShort(): Promise<void> {
      const other = await world.db.pool.connect()
      await other.query(`begin; lock table ${old} in share update exclusive mode`)
      await expect(round({}, dir)).rejects.toMatchObject({ code: '55P03' })
      await other.query('rollback')
      other.release()
    }
    await round({}, dir)
    await accept()
    await cutShort()
    expect(await archived()).toEqual(['a', 'b', 'c'])
    await world.rows("delete from events where event_id = 'a'")
    await cutShort()
    expect(await archived()).toEqual(['b', 'c'])

    const partition = (await listPartitions(world.db.pool)).find(({ name }) => name === old) as Partition
    await recordDropped(world.db, partition)
    await detachPartition(world.db, partition)
    expect(await rewriteArchive(dir, old, ({ event_id }) => event_id !== 'b')).toBe(1)
    await round({}, dir)
    expect(await tables()).not.toContain(old)
    expect(await archived()).toEqual(['c'])
  })

  it('that cannot be written keeps the partition', async () => {
    await land(jobOf({ eventId: 'a' }))
    const old = await age(40)
    await round({}, '/dev/null/archive')
    await accept()
    await expect(round({}, '/dev/null/archive')).rejects.toThrow('ENOTDIR')
    expect(await partitions()).toContain(old)
    expect(await readRetention(world.db.pool)).toMatchObject({ droppedBefore: null })
  })
})

describe('a partition', () => {
  it.each([2, 3, 4])('goes after a crash behind step %i', async (step) => {
    await land(jobOf({ journeyId: 'j', eventId: 'e' }))
    const old = await age(40)
    const dir = await archiveDir()
    await round({}, dir)
    await accept()
    const before = await journeys()
    const scheduler = stack.use(
      run(PROGRAMS.scheduler, [], {
        ...world.env,
        SCHEDULER_PORT: '0',
        RETENTION_EVENTS: '30d',
        ARCHIVE_DIR: dir,
        SLUICE_FAILPOINT: `retention-after-step:${step}`,
      }),
    )
    expect(await scheduler.exited).toBe('SIGKILL')
    expect(await tables()).toContain(old)

    await round({}, dir)
    expect(await tables()).not.toContain(old)
    expect(await rebuildJourneys(world.db)).toMatchObject({ changed: 0 })
    expect(await journeys()).toEqual(before)
    expect((await findEvent(world.db, 'e')).gone).toMatchObject([{ because: 'dropped' }])
  })

  it('goes while events land and a reader holds a snapshot, which delays it and fails nothing', async () => {
    const names: string[] = []
    for (const days of [60, 50, 40]) {
      await land(jobOf({ journeyId: `j${days}` }))
      names.push(await age(days))
    }
    await round()
    await accept()
    const reader = await world.db.pool.connect()
    await reader.query('set idle_in_transaction_session_timeout = 0')
    await reader.query('begin isolation level repeatable read; select count(*) from events')
    const lander = stack.use(createDb(world.databaseUrl, { max: 2, statementMs: 5_000, log, name: 'lander' }))
    let isLanding = true
    let landed = 0
    const landing = (async () => {
      for (; isLanding; landed++) {
        const jobs = [jobOf({ journeyId: 'j60' }), jobOf({ journeyId: `n${landed}` })]
        await lander.landingTransaction((connection) => landJobs(connection, jobs), { lockMs: 500 })
      }
    })()
    const dropper = stack.use(
      createDb(world.databaseUrl, { max: 4, statementMs: 10_000, log, name: 'scheduler' }),
    )
    try {
      await round({}, undefined, dropper)
      const kept = await tables()
      expect(names.filter((name) => kept.includes(name))).toEqual(names)
      await reader.query('commit')
      await round({}, undefined, dropper)
    } finally {
      reader.release(true)
      isLanding = false
      await landing
    }
    const kept = await tables()
    expect(names.filter((name) => kept.includes(name))).toEqual([])
    expect(await countOf('events')).toBe(2 * landed)
    expect(await rebuildJourneys(world.db)).toMatchObject({ changed: 0 })
    expect(await world.rows("select events from journeys where journey_id = 'j60'")).toEqual([
      { events: landed + 1 },
    ])
  })

  it.skipIf(!program('pgbouncer'))('goes through a pooler as well', async () => {
    await land(jobOf({ journeyId: 'j' }))
    const old = await age(40)
    await round()
    await accept()
    const binary = program('pgbouncer') ?? ''
    const { through } = stack.use(await startPgBouncer(binary, inject('postgresUrl'), 'transaction'))
    const url = through(world.databaseUrl)
    const db = stack.use(createDb(url, { max: 2, statementMs: 10_000, log, name: 'scheduler' }))
    await round({}, undefined, db)
    expect(db.isPooled).toBe(true)
    expect(await tables()).not.toContain(old)
  })

  it('that is detached by half has nothing of what is erased', async () => {
    await land(jobOf({ journeyId: 'erased' }), jobOf({ journeyId: 'stays' }))
    const name = await age(40)
    const client = await world.db.pool.connect()
    stack.defer(() => client.release(true))
    const reader = await world.db.pool.connect()
    stack.defer(() => reader.release(true))
    await reader.query('begin isolation level repeatable read; select from events')
    await client.query('set lock_timeout = 200')
    await expect(client.query(`alter table events detach partition ${name} concurrently`)).rejects.toThrow()
    expect(await listPartitions(world.db.pool)).toContainEqual(
      expect.objectContaining({ name, isDetaching: true }),
    )
    await reader.query('rollback')

    const stores = { db: world.db, queue: undefined, location: undefined }
    const plan = await planErasure(stores, { kind: 'journey', name: 'erased' })
    const { counts } = await erase(stores, plan, { actor: 'tester' })
    expect(counts).toMatchObject({ events: 1 })
    expect(await world.rows(`select journey_id from ${name}`)).toEqual([{ journey_id: 'stays' }])
  })

  it('without an end, which somebody has made, stays, and is no gap', async () => {
    const last = (await listPartitions(world.db.pool)).at(-1) as Partition
    await world.rows(
      `create table of_all_times partition of events for values from ('${last.until.toISOString()}') to (maxvalue)`,
    )
    await land(jobOf({ journeyId: 'j' }))
    await world.rows(`update events set processed_at = '${last.until.toISOString()}'`)
    const before = await journeys()
    await retain()
    expect(await partitions()).toContain('of_all_times')
    expect(await rebuildJourneys(world.db)).toMatchObject({ changed: 0 })
    expect(await journeys()).toEqual(before)
    expect(await ensurePartitions(world.db, 'day')).toEqual([])
    expect(await checkPartitionsOf(world)).toMatchObject([{ level: 'ok' }])
  })

  it('that somebody else has detached is left alone', async () => {
    await land(jobOf({}))
    const old = await age(40)
    await world.rows(`alter table events detach partition ${old}`)
    await retain()
    expect(await countOf(old)).toBe(1)
  })

  it('that is missing makes events wait, and they land once it is there', async () => {
    const present = await partitions()
    for (const name of present) await world.rows(`drop table ${name}`)
    const door = stack.use(await openDoor(world))
    const worker = stack.use(await openWorker(world, { scheduler: false }))
    await eventually(() => JSON.stringify(worker.health()).includes('no partition for now'))
    const { eventId, bytes } = finishedJourney()
    await door.post(bytes)
    await eventually(() => !worker.health().ready)

    const made = stack.use(run(PROGRAMS.cli, ['retention', 'partitions'], world.env))
    expect(await made.exited).toBe(0)
    await eventually(async () => (await findEvent(world.db, eventId)).events.length === 1)
    expect(await countOf('dead_letters')).toBe(0)
  })
})
