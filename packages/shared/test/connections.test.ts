import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { startPgBouncer } from '@sluice/testkit/pgbouncer'
import { program } from '@sluice/testkit/programs'
import { describe, expect, inject, it } from 'vitest'
import { createDb } from '../src/db/index.ts'
import { createLog } from '../src/runtime/index.ts'

const log = createLog('test', 'fatal')
const LIMITS = { max: 1, statementMs: 5_000, log, name: 'test' }
const QUERY = 'Q'.charCodeAt(0)

it('a connection that breaks before it is set up fails the query that opened it, and nothing else', async () => {
  await using relay = await startRelay((bytes, reset) => {
    if (bytes[0] === QUERY) reset()
  })
  await using db = createDb(relay.url, LIMITS)
  await expect(db.pool.query('select 1')).rejects.toThrow(/ECONNRESET|terminated/)
  relay.pass()
  expect((await db.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

it('each wait for a connection is told, of a transaction and of a single query', async () => {
  const waits: number[] = []
  await using db = createDb(inject('postgresUrl'), { ...LIMITS, waited: (seconds) => waits.push(seconds) })
  // The pool has one connection.
  const held = await db.pool.connect()
  const asked = [db.pool.query('select 1'), db.transaction(async () => {})]
  expect(waits).toHaveLength(1)
  await held.query('select pg_sleep(0.05)')
  held.release()
  await Promise.all(asked)
  expect(waits).toHaveLength(3)
  expect(Math.min(...waits.slice(1))).toBeGreaterThanOrEqual(0.05)
})

it('settings that a session brings along are replaced', async () => {
  const brought = {
    enable_tidscan: 'off',
    timezone: 'Asia/Kathmandu',
    idle_session_timeout: '60000',
    jit: 'on',
  }
  const options = Object.entries(brought).map(([name, value]) => `-c ${name}=${value}`)
  const url = `${inject('postgresUrl')}?options=${encodeURIComponent(options.join(' '))}`
  await using db = createDb(url, LIMITS)
  const { rows } = await db.pool.query('select name, setting from pg_settings where lower(name) = any($1)', [
    Object.keys(brought),
  ])
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name.toLowerCase(), setting]))).toEqual({
    enable_tidscan: 'on',
    timezone: 'UTC',
    idle_session_timeout: '0',
    jit: 'off',
  })
})

it.each(['0A000', '26000', '42P05', '55000', '25006', '08P01', 'XX000'])(
  'after %s the connection is not used again',
  async (code) => expect(await isUsedAgainAfter(code)).toBe(false),
)

it.each(['23505', '22P02', '40P01', 'P0001', '57014', undefined])(
  'after %s, whose cause is a row, or after a rollback on purpose it is',
  async (code) => expect(await isUsedAgainAfter(code)).toBe(true),
)

async function isUsedAgainAfter(code: string | undefined): Promise<boolean> {
  await using db = createDb(inject('postgresUrl'), LIMITS)
  const backend = async () => (await db.pool.query('select pg_backend_pid() as pid')).rows[0].pid
  const before = await backend()
  const failing = db.transaction(async (connection) => {
    if (code === undefined) throw new Error('on purpose')
    await connection.query(`do $$ begin raise exception using errcode = '${code}'; end $$`)
  })
  await expect(failing).rejects.toThrow()
  return (await backend()) === before
}

it('a plan of a table that has changed goes with its connection', async () => {
  await using db = createDb(inject('postgresUrl'), LIMITS)
  await db.pool.query('create table planned (id int)')
  const read = { name: 'read_planned', text: 'select * from planned' }
  await db.pool.query(read)
  await db.pool.query('alter table planned alter column id type bigint')
  await expect(db.pool.query(read)).rejects.toMatchObject({ code: '0A000' })
  expect((await db.pool.query(read)).rows).toEqual([])
  await db.pool.query('drop table planned')
})

describe('the switches of the planner', () => {
  const shown = async (ask: (sql: string) => Promise<{ rows: Record<string, string>[] }>) => {
    const switches = []
    for (const name of ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) {
      switches.push((await ask(`show ${name}`)).rows[0]?.[name])
    }
    return switches
  }
  const ON = ['on', 'on', 'on']
  const OFF = ['off', 'off', 'off']

  async function expectForLandingAlone(url: string): Promise<void> {
    await using db = createDb(url, LIMITS)
    const landing = () => db.landingTransaction((connection) => shown((sql) => connection.query(sql)))
    expect(await landing()).toEqual(OFF)
    expect(await db.transaction((connection) => shown((sql) => connection.query(sql)))).toEqual(ON)
    await expect(db.landingTransaction(() => Promise.reject(new Error('on purpose')))).rejects.toThrow()
    expect(await shown((sql) => db.pool.query(sql))).toEqual(ON)
    expect(await landing()).toEqual(OFF)
  }

  it('are off in a transaction that lands, and on in every other and outside of transactions', () =>
    expectForLandingAlone(inject('postgresUrl')))

  it.skipIf(!program('pgbouncer')).each(['session', 'transaction'] as const)(
    'are the same behind a pooler in %s mode',
    async (mode) => {
      await using pooler = await startPgBouncer(program('pgbouncer') ?? '', inject('postgresUrl'), mode)
      await expectForLandingAlone(pooler.through(inject('postgresUrl')))
    },
  )
})

/** A relay in front of Postgres. It shows each message of a client to `look`, which may reset the connection. */
async function startRelay(look: (bytes: Buffer, reset: () => void) => void) {
  const url = new URL(inject('postgresUrl'))
  const upstreamPort = Number(url.port)
  let isLooking = true
  const server = createServer((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1')
    client.on('error', () => {}).on('close', () => upstream.destroy())
    upstream.on('error', () => {}).on('close', () => client.destroy())
    upstream.pipe(client)
    client.on('data', (bytes) => {
      if (isLooking) look(bytes, () => client.resetAndDestroy())
      if (!client.destroyed) upstream.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: url.href,
    pass() {
      isLooking = false
    },
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}
