import { readFileSync } from 'node:fs'
import { migrateSchema, schemaState } from '@sluice/shared/db'
import { PROGRAMS, run } from '@sluice/testkit/process'
import { createWorld, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadPostgres } from './load.ts'

const SQL = readFileSync(`${import.meta.dirname}/0.1.0/postgres.sql`, 'utf8')

describe('the events of release 0.1.0', () => {
  let stack: AsyncDisposableStack
  let world: World

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('inbox'))
    await loadPostgres(world, SQL)
  })
  afterEach(() => stack.disposeAsync())

  /** As that release inserts an event. */
  const insertOld = (id: string) =>
    world.rows(
      `insert into events (event_key, environment, event, kind, event_id, journey_id, raw, body_sha256, arrival,
        received_at, via)
      values (sha256($1::text::bytea), 'live', 'Finished Step', 'finished_step', $1, 'J', '', sha256(''), $1, now(), 'redis')
      on conflict (event_key) do nothing returning event_key`,
      [id],
    )
  async function counts() {
    const [row] = await world.rows<{ events: number; keyed: number }>(
      `select count(*)::int as events, count(k.key)::int as keyed from events e left join event_keys k
        on k.landed_at = e.processed_at and k.n = e.n and uuid_send(k.key) = substring(e.event_key for 16)
          and k.body = substring(e.body_sha256 for 8)`,
    )
    return row
  }
  const partitions = () =>
    world.rows<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass order by 1`,
    )

  it('stay as they are while a worker of that release runs, and are migrated with what it has landed meanwhile', async () => {
    await insertOld('before')
    await world.rows(`insert into processes (id, app, release) values ('old', 'worker', '0.1.0')`)
    await expect(migrateSchema(world.db)).rejects.toThrow(/1 of release 0\.1\.0.*Stop them/)
    expect(await schemaState(world.db.pool)).toBe('older')
    expect(await insertOld('meanwhile')).toHaveLength(1)

    await world.rows(`delete from processes where id = 'old'`)
    expect(await migrateSchema(world.db)).toBe('older')
    const { events, keyed } = (await counts()) ?? {}
    expect(events).toBeGreaterThan(100)
    expect(keyed).toBe(events)
    expect(await partitions()).toContainEqual({ name: 'events_before' })
    expect(await migrateSchema(world.db)).toBe('current')
  })

  it('are migrated also from a schema of before, which had no leases and no processes', async () => {
    await world.rows(`drop table leases, processes; drop index inbox_suspects;
      delete from sluice_migrations where created_at = (select max(created_at) from sluice_migrations)`)
    expect(await migrateSchema(world.db)).toBe('older')
    const { events, keyed } = (await counts()) ?? {}
    expect([events, await schemaState(world.db.pool)]).toEqual([keyed, 'current'])
  })

  it('stay as they are also if there are none yet', async () => {
    await world.rows(
      `truncate events; insert into processes (id, app, release) values ('old', 'worker', '0.1.0')`,
    )
    await expect(migrateSchema(world.db)).rejects.toThrow('Stop them')
    await world.rows('delete from processes')
    expect(await migrateSchema(world.db)).toBe('older')
  })

  it('stay as they are while a session of a worker of that release is open', async () => {
    const url = new URL(world.databaseUrl)
    url.searchParams.set('application_name', 'sluice worker')
    const [client] = [new (await import('pg')).default.Client(url.href)]
    await client.connect()
    stack.defer(() => client.end())
    await expect(migrateSchema(world.db)).rejects.toThrow('1 sessions')
  })

  it.each(['migrate-while-preparing', 'migrate-prepared', 'migrate-bounded', 'migrate-in-middle'])(
    'are migrated all the same after a crash at %s',
    async (step) => {
      const crashed = stack.use(run(PROGRAMS.cli, ['migrate'], { ...world.env, SLUICE_FAILPOINT: step }))
      await crashed.exited
      expect(await schemaState(world.db.pool)).toBe('older')
      await insertOld('meanwhile')
      await migrateSchema(world.db)
      const { events, keyed } = (await counts()) ?? {}
      expect(keyed).toBe(events)
    },
  )
})
