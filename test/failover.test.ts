import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkPostgres, createDb, migrateSchema, pingPostgres } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { createPrimaryAndStandby } from '@sluice/testkit/standby'
import { createWorld, eventually, openDoor, openWorker, WAYS } from '@sluice/testkit/world'
import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'

const LIMITS = { max: 2, statementMs: 10_000, log: createLog('test', 'fatal'), name: 'test' }

let stack: AsyncDisposableStack
let dir: string
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  dir = await mkdtemp(join(tmpdir(), 'sluice-failover-'))
  await chmod(dir, 0o711)
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
})
afterEach(() => stack.disposeAsync())

it.each(WAYS)(
  'by the %s everything answered 200 lands when the primary dies under load and its standby is promoted',
  async (way) => {
    const { primary, standby } = stack.use(await createPrimaryAndStandby(dir, { synchronous: true }))
    const [first, second] = [standby, primary].map(({ url }) => new URL(url).host)
    const databaseUrl = primary.url.replace(/@[^/]+/, `@${first},${second}`)
    const admin = stack.use(createDb(databaseUrl, LIMITS))
    await migrateSchema(admin)
    await pingPostgres(databaseUrl)
    const world = stack.use(await createWorld(way))
    const door = stack.use(await openDoor(world, { databaseUrl }))
    stack.use(await openWorker(world, { databaseUrl }))
    const acknowledged: string[] = []
    let n = 0
    async function send(): Promise<boolean> {
      const id = `f-${n++}`
      const { status } = await door.post(
        JSON.stringify({ event: 'Finished Step', body: { eventId: id, journeyId: `j-${n % 20}` } }),
      )
      if (status === 200) acknowledged.push(id)
      return status === 200
    }
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 5 }, send))
    await primary.kill()
    const promotion = new pg.Client({ connectionString: standby.url })
    await promotion.connect()
    await promotion.query('select pg_promote()')
    await promotion.end()
    await eventually(send)
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 5 }, send))
    await eventually(async () => {
      const { rows } = await admin.pool
        .query('select event_id from events where event_id = any($1)', [acknowledged])
        .catch(() => ({ rows: [] }))
      return rows.length === acknowledged.length
    })
    expect((await admin.pool.query('select 1 from dead_letters')).rows).toEqual([])
    // The old primary knows of no promotion and accepts writes, but a new connection must not go there.
    await primary.start()
    await using later = createDb(databaseUrl, LIMITS)
    const { rows } = await later.pool.query('select inet_server_port() as port')
    expect(rows).toEqual([{ port: standby.port }])
  },
)

it('a standby that nobody waits for is unsafe, one that is waited for is not; standbys alone are of no use', async () => {
  const { primary, standby } = stack.use(await createPrimaryAndStandby(dir, { synchronous: false }))
  await using db = createDb(primary.url, LIMITS)
  const found = async () => (await checkPostgres(db)).filter(({ unsafe }) => unsafe)
  await eventually(async () => (await found()).length > 0)
  expect(await found()).toMatchObject([{ unsafe: 'Postgres', text: expect.stringContaining('standby') }])
  await db.pool.query(`alter system set synchronous_standby_names = '*'`)
  await db.pool.query('select pg_reload_conf()')
  await eventually(async () => (await found()).length === 0)

  const { host } = new URL(standby.url)
  await using standbys = createDb(standby.url.replace(host, `${host},${host}`), LIMITS)
  expect(await checkPostgres(standbys)).toMatchObject([
    { level: 'fail', text: 'cannot be used: none of the 2 hosts can be written to (a standby) (57P03)' },
  ])
})
