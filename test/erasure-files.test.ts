import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDb, landJobs, purgeTables } from '@sluice/shared/db'
import { erase, planErasure } from '@sluice/shared/operations'
import { createLog } from '@sluice/shared/runtime'
import { createPrimaryAndStandby } from '@sluice/testkit/standby'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { expect, it } from 'vitest'

const log = createLog('test', 'fatal')
const sought = { kind: 'journey', name: 'erased' } as const
const LIMITS = { landingsMs: 10_000, jobsMs: 0, filesMs: 10_000 }

it('files that a reader has kept from being rewritten are rewritten when the same is run again', async () => {
  await using world = await createWorld('inbox')
  const stores = storesOf(world)
  await land(world)
  await moveTo(world, 'events_of_before')
  const reader = await world.db.pool.connect()
  await reader.query('begin isolation level repeatable read; select from events')
  const first = await erase(stores, await planErasure(stores, sought), {
    actor: 'me',
    limits: { ...LIMITS, filesMs: 0 },
  })
  expect(first.purgedAt).toBe(null)
  const before = await fileOf(world, 'events_of_before')
  await reader.query('commit')
  reader.release()

  const second = await erase(stores, await planErasure(stores, sought), { actor: 'me', limits: LIMITS })
  expect(second.purgedAt).toEqual(expect.any(String))
  expect(await fileOf(world, 'events_of_before')).not.toBe(before)
})

it('a table that is too large to be rewritten leaves no date at which its files were, unless that is asked for', async () => {
  await using world = await createWorld('inbox')
  const stores = storesOf(world)
  await world.rows(
    `alter table dead_letters alter column raw set storage external;
    insert into dead_letters (job_id, reason, error_class, error_message, fingerprint, attempts, raw, envelope)
      select 'x' || n, 'conflict', 'E', 'm', 'f', 1, convert_to(repeat('x', 1000000), 'UTF8'), '' from generate_series(1, 70) as n`,
  )
  const first = await erase(stores, await planErasure(stores, sought), { actor: 'me', limits: LIMITS })
  expect(first.purgedAt).toBe(null)
  expect(first.remains.map(({ where }) => where)).toContain('Postgres, file of the table dead_letters')
  const plan = await planErasure(stores, sought)
  const second = await erase(stores, plan, { actor: 'me', limits: LIMITS, everySize: true })
  expect(second.purgedAt).toEqual(expect.any(String))
  expect(second.remains.map(({ where }) => where)).not.toContain('Postgres, file of the table dead_letters')
})

it('files are kept as they are while a standby reads rows that were deleted', async () => {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-feedback-'))
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  await chmod(dir, 0o755)
  const { primary, standby } = stack.use(await createPrimaryAndStandby(dir, { synchronous: false }))
  const open = (url: string) => stack.use(createDb(url, { max: 2, statementMs: 10_000, log, name: 'test' }))
  const [db, copy] = [open(primary.url), open(standby.url)]
  await db.pool.query('create table told as select n from generate_series(1, 10) as n')
  for (const setting of ['hot_standby_feedback = on', `wal_receiver_status_interval = '1s'`]) {
    await copy.pool.query(`alter system set ${setting}`)
  }
  await copy.pool.query('select pg_reload_conf()')
  const client = await copy.pool.connect()
  stack.defer(() => client.release(true))
  await eventually(async () => (await copy.pool.query(`select to_regclass('told') as t`)).rows[0]?.t !== null)
  await client.query('begin isolation level repeatable read; select from told')
  await eventually(
    async () =>
      (await db.pool.query('select from pg_stat_replication where backend_xmin is not null')).rowCount === 1,
  )
  await db.pool.query('delete from told')
  const outcome = async (limitMs: number) =>
    (await purgeTables(db, ['told'], { limitMs, everySize: false })).map((each) => each.outcome)[0]
  expect(await outcome(0)).toBe('kept')
  await client.query('commit')
  expect(await outcome(10_000)).toBe('rewritten')
})

const storesOf = ({ db }: World) => ({ db, queue: undefined, location: undefined })

async function fileOf(world: World, table: string): Promise<unknown> {
  const [row] = await world.rows('select pg_relation_filepath($1::regclass) as file', [table])
  return row?.file
}

/** Moves all events to a partition of long ago. */
async function moveTo(world: World, partition: string): Promise<void> {
  await world.rows(`create table ${partition} partition of events for values from ('2020-01-01') to ('2020-02-01');
    update events set processed_at = '2020-01-15', received_at = '2020-01-15';
    update event_keys set landed_at = '2020-01-15'`)
}

async function land(world: World): Promise<void> {
  const raw = JSON.stringify({ event: 'Finished Step', body: { eventId: randomUUID(), journeyId: 'erased' } })
  const envelope = { v: 1 as const, env: 'live', at: Date.now(), deliveryId: randomUUID(), raw }
  const job = { jobId: randomUUID(), envelope, via: 'inbox' as const, duplicates: 0, replayOf: null }
  await world.db.landingTransaction((connection, now) => landJobs(connection, [job], { now }))
}
