import { createStores } from '@sluice/testkit/stores'
import { eventually } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { checkArchiver } from '../src/db/archiver.ts'

it('a write-ahead log that is not archived is told, once Postgres is to archive it', async () => {
  await using stores = await createStores('archiver')
  const { db, postgres } = stores
  const look = () => checkArchiver(db.pool)
  expect(await look()).toEqual([])
  await db.pool.query(`alter system set archive_mode = 'on'`)
  await db.pool.query(`alter system set archive_command = 'false'`)
  await postgres.stop()
  await postgres.start()
  expect(await look()).toMatchObject([{ level: 'ok', text: 'the write-ahead log is archived (never yet)' }])
  // A file without records is not switched.
  await db.pool.query('create table written ()')
  await db.pool.query('select pg_switch_wal()')
  const found = await eventually(async () => {
    const [check] = await look()
    return check?.level === 'warn' && check
  }, 20_000)
  expect(found).toMatchObject({
    alert: 'backup-behind',
    text: expect.stringMatching(/^the write-ahead log cannot be archived since 0/),
  })
  await db.pool.query(`alter system set archive_command = 'true'`)
  await db.pool.query('select pg_reload_conf()')
  await db.pool.query('create table more ()')
  await db.pool.query('select pg_switch_wal()')
  await eventually(async () => (await look())[0]?.level === 'ok', 20_000)
}, 60_000)
