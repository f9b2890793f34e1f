import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkPostgres, createDb, migrateSchema, replayDeadLetter, withLease } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { startPgBouncer } from '@sluice/testkit/pgbouncer'
import { createPostgresServer } from '@sluice/testkit/postgres-server'
import { program } from '@sluice/testkit/programs'
import { createWorld, eventually, openDoor, openWorker, WAYS, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'

const log = createLog('test', 'fatal')

describe.skipIf(!program('pgbouncer')).each(['session', 'transaction'] as const)(
  'behind PgBouncer in %s mode, with its defaults',
  (mode) => {
    let stack: AsyncDisposableStack
    let through: (url: string) => string
    beforeEach(async () => {
      stack = new AsyncDisposableStack()
      const binary = program('pgbouncer') ?? ''
      const pooler = stack.use(await startPgBouncer(binary, inject('postgresUrl'), mode))
      through = pooler.through
    })
    afterEach(() => stack.disposeAsync())

    it.each(WAYS)('events land by the %s, each once, and redeliveries are counted', async (way) => {
      const world = stack.use(await createWorld(way))
      const databaseUrl = through(world.databaseUrl)
      const door = stack.use(await openDoor(world, { databaseUrl }))
      stack.use(await openWorker(world, { databaseUrl }))
      stack.use(await openWorker(world, { databaseUrl }))
      const bodies = Array.from({ length: 200 }, (_, n) => eventOf(n))
      const answers = await Promise.all([...bodies, ...bodies.slice(0, 20)].map((body) => door.post(body)))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
      await eventually(async () => {
        const [row] = await world.rows<{ n: number; again: number }>(
          'select count(*)::int as n, sum(duplicates)::int as again from events',
        )
        return row?.n === 200 && row.again === 20
      })
      expect(await world.rows('select 1 from dead_letters')).toEqual([])
      expect(await world.rows('select 1 from journeys')).toHaveLength(50)
    })

    it('the schema is migrated by two at once, and a lease is held by one of two', async () => {
      const world = stack.use(await createWorld('inbox'))
      const open = () =>
        stack.use(createDb(through(world.databaseUrl), { max: 2, statementMs: 10_000, log, name: 'test' }))
      const [one, other] = [open(), open()]
      await world.rows('drop schema public cascade')
      await world.rows('create schema public')
      const before = await Promise.all([migrateSchema(one), migrateSchema(other)])
      expect(before.sort()).toEqual(['current', 'missing'])
      const done: string[] = []
      await withLease(one, 'duty', async () => {
        await withLease(other, 'duty', async () => void done.push('other'))
        done.push('one')
      })
      await withLease(other, 'duty', async () => void done.push('afterwards'))
      expect(done).toEqual(['one', 'afterwards'])
    })

    it('a dead letter is replayed, and the checks say that a pooler is in between', async () => {
      const world = stack.use(await createWorld('inbox'))
      const databaseUrl = through(world.databaseUrl)
      const door = stack.use(await openDoor(world, { databaseUrl }))
      stack.use(await openWorker(world, { databaseUrl }))
      for (const systemDecision of ['Complete', 'Refer']) {
        const event = {
          event: 'Finished Journey',
          body: { eventId: 'again', journeyId: 'j', systemDecision },
        }
        expect((await door.post(JSON.stringify(event))).status).toBe(200)
      }
      const letters = () =>
        world.rows<{ id: number; state: string }>('select id::int, state from dead_letters')
      const [letter] = await eventually(async () => {
        const found = await letters()
        return found.length > 0 && found
      })
      await world.rows('delete from events')
      const db = stack.use(createDb(databaseUrl, { max: 2, statementMs: 10_000, log, name: 'test' }))
      expect(await replayDeadLetter(db, { id: letter?.id ?? 0, actor: 'test' })).toEqual({ kind: 'done' })
      await eventually(async () => (await letters())[0]?.state === 'resolved')
      const checks = await checkPostgres(db)
      expect(checks.filter(({ level }) => level === 'fail')).toEqual([])
      expect(checks).toContainEqual(
        expect.objectContaining({ text: expect.stringContaining('behind a pooler') }),
      )
    })

    it('a migration keeps the limits that it has set, through the transaction that it is in', async () => {
      const world = stack.use(await createWorld('inbox'))
      const db = stack.use(
        createDb(through(world.databaseUrl), { max: 1, statementMs: 10_000, log, name: 'test' }),
      )
      await db.pool.query('select 1')
      const client = await db.pool.connect()
      stack.defer(() => client.release(true))
      await client.query('begin; set local statement_timeout = 0')
      await client.query('begin')
      expect((await client.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '0' }])
    })

    it('limits hold for a statement outside and inside a transaction, and for no other client', async () => {
      const world = stack.use(await createWorld('inbox'))
      const db = stack.use(
        createDb(through(world.databaseUrl), { max: 1, statementMs: 300, log, name: 'test' }),
      )
      const sleep = 'select pg_sleep($1::float8)'
      await expect(db.pool.query(sleep, [2])).rejects.toMatchObject({ code: '57014' })
      await expect(db.transaction((connection) => connection.query(sleep, [2]))).rejects.toMatchObject({
        code: '57014',
      })
      expect(db.isPooled).toBe(true)
      const other = await import('pg')
      const stranger = new other.default.Client({ connectionString: through(world.databaseUrl) })
      await stranger.connect()
      stack.defer(() => stranger.end())
      expect((await stranger.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '0' }])
    })
  },
)

it.skipIf(!program('pgbouncer')).each(WAYS)(
  'by the %s events wait, and land, when the Postgres behind a PgBouncer dies and comes back',
  async (way) => {
    await using stack = new AsyncDisposableStack()
    const dir = await mkdtemp(join(tmpdir(), 'sluice-pooled-'))
    stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
    await chmod(dir, 0o711)
    const postgres = stack.use(await createPostgresServer({ dir }))
    const settings = { server_login_retry: 1, query_wait_timeout: 2 }
    const binary = program('pgbouncer') ?? ''
    const pooler = stack.use(await startPgBouncer(binary, postgres.url, 'transaction', settings))
    const databaseUrl = pooler.through(postgres.url)
    const db = stack.use(createDb(databaseUrl, { max: 1, statementMs: 10_000, log, name: 'test' }))
    await migrateSchema(db)
    const world = stack.use(await createWorld(way))
    const door = stack.use(await openDoor(world, { databaseUrl }))
    stack.use(await openWorker(world, { databaseUrl }))
    const acknowledged: string[] = []
    let sent = 0
    async function send(): Promise<boolean> {
      const body = eventOf(sent++)
      const { status } = await door.post(body)
      if (status === 200) acknowledged.push(JSON.parse(body).body.eventId)
      return status === 200
    }
    /** One that was refused may have been inserted all the same, when its answer came too late. */
    const missing = async () => {
      const stored = await db.pool.query('select event_id from events').catch(() => undefined)
      const ids = new Set(stored?.rows.map((row) => row.event_id))
      return acknowledged.filter((id) => !ids.has(id))
    }
    for (let n = 0; n < 20; n++) await send()
    await postgres.kill()
    for (let n = 0; n < 5; n++) await send()
    expect(await checkPostgres(db)).toMatchObject([
      { level: 'fail', text: expect.stringMatching(/: .{10,}/) },
    ])
    await postgres.start()
    await eventually(send, 60_000)
    // First the pooler waits, then the gate, then each row that was put off.
    await eventually(async () => (await missing()).length === 0, 60_000)
    expect((await db.pool.query('select 1 from dead_letters')).rows).toEqual([])
  },
  150_000,
)

it('a lease lasts as long as the work, and is taken over when its holder has died', async () => {
  await using world = await createWorld('inbox')
  const [held] = await world.rows<{ until: Date }>(
    `insert into leases (name, holder, expires_at) values ('duty', 'dead', now() + interval '300 milliseconds')
      returning expires_at as until`,
  )
  const done: string[] = []
  const expiry = async () => (await world.rows<{ at: Date }>('select expires_at as at from leases'))[0]?.at
  await eventually(async () => {
    await withLease(
      world.db,
      'duty',
      async () => {
        const first = await expiry()
        await eventually(async () => Number(await expiry()) > Number(first))
        await withLease(world.db, 'duty', async () => void done.push('second'))
        done.push('first')
      },
      300,
    )
    return done.length > 0
  })
  expect(done).toEqual(['first'])
  expect(Date.now()).toBeGreaterThan(Number(held?.until))
  expect(await world.rows('select 1 from leases')).toEqual([])
})

describe('a role that brings settings along', () => {
  const BROUGHT = {
    datestyle: 'German',
    intervalstyle: 'sql_standard',
    timezone: 'Asia/Kathmandu',
    extra_float_digits: '-15',
    bytea_output: 'escape',
    search_path: 'elsewhere',
    array_nulls: 'off',
    default_transaction_isolation: 'serializable',
    statement_timeout: '5',
    standard_conforming_strings: 'off',
  }

  it.each([...WAYS, 'pooler'] as const)('changes nothing of what lands by the %s', async (way) => {
    if (way === 'pooler' && !program('pgbouncer')) return
    await using stack = new AsyncDisposableStack()
    const usual = stack.use(await createWorld(way === 'redis' ? 'redis' : 'inbox'))
    const changed = stack.use(await createWorld(way === 'redis' ? 'redis' : 'inbox'))
    const [database] = await changed.rows<{ name: string }>('select current_database() as name')
    for (const [name, value] of Object.entries(BROUGHT)) {
      await changed.rows(`alter database ${database?.name} set ${name} = '${value}'`)
    }
    const pooler =
      way === 'pooler' &&
      stack.use(await startPgBouncer(program('pgbouncer') ?? '', inject('postgresUrl'), 'transaction'))
    for (const world of [usual, changed]) {
      const databaseUrl = pooler ? pooler.through(world.databaseUrl) : world.databaseUrl
      const door = stack.use(await openDoor(world, { databaseUrl }))
      stack.use(await openWorker(world, { databaseUrl }))
      for (let n = 0; n < 20; n++) expect((await door.post(eventOf(n))).status).toBe(200)
      await eventually(async () => (await landed(world)).length === 20)
    }
    expect(await landed(changed)).toEqual(await landed(usual))
    expect(await changed.rows('select 1 from dead_letters')).toEqual([])
  })

  const landed = (world: World) =>
    world.rows(`select event_id, kind, body, raw, journey_id, reference_no, final_decision, duplicates,
      received_at between now() - interval '1 minute' and now() as recent from events order by event_id`)
})

function eventOf(n: number): string {
  const body = {
    eventId: `p-${n}`,
    journeyId: `j-${n % 50}`,
    referenceNo: `r-${n}`,
    systemDecision: 'Complete',
  }
  return JSON.stringify({ event: n % 3 ? 'Finished Step' : 'Finished Journey', body })
}
